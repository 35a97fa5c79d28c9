import pytest
import torch

from gradual.training.device import (
    random_state,
    resolve_device,
    resolve_precision,
    set_random_state,
)


def test_unknown_and_absent_devices_say_what_to_use():
    with pytest.raises(ValueError, match="'gpu', which torch does not know: use auto"):
        resolve_device("gpu")
    with pytest.raises(ValueError, match="none on this machine: use auto or cpu"):
        resolve_device("xla")
    if not torch.cuda.is_available():
        with pytest.raises(ValueError, match="'cuda:3', but there is none"):
            resolve_device("cuda:3")


def test_the_cpu_is_the_cpu():
    assert resolve_device("cpu") == resolve_device("cpu:0") == torch.device("cpu")


@pytest.mark.parametrize(("amx", "avx"), [(True, False), (False, True), (False, False)])
def test_auto_takes_bfloat16_where_the_processor_is_fast_at_it(monkeypatch, amx, avx):
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: amx, raising=False)
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: avx, raising=False)
    cpu = torch.device("cpu")
    assert resolve_precision("auto", cpu) == (torch.bfloat16 if amx or avx else torch.float32)
    assert resolve_precision("float32", cpu) == torch.float32
    assert resolve_precision("bfloat16", cpu) == torch.bfloat16


def test_auto_is_float32_where_torch_cannot_tell(monkeypatch):
    for name in ("_is_amx_tile_supported", "_is_avx512_bf16_supported"):
        monkeypatch.delattr(torch.cpu, name, raising=False)
    assert resolve_precision("auto", torch.device("cpu")) == torch.float32


@pytest.mark.parametrize(("capability", "dtype"), [((7, 5), "float32"), ((8, 0), "bfloat16")])
def test_auto_on_cuda_goes_by_capability(monkeypatch, capability, dtype):
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: capability)
    assert resolve_precision("auto", torch.device("cuda", 0)) == getattr(torch, dtype)


def test_random_state_goes_out_and_back_in():
    cpu = torch.device("cpu")
    state = random_state(cpu)
    first = torch.rand(3)
    set_random_state(state, cpu)
    assert torch.equal(torch.rand(3), first)
