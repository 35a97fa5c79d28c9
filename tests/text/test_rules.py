import re
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gradual.text import rules
from gradual.text.rules import RULES, TOKEN_RULES, find_rule


@pytest.mark.parametrize(
    ("rule", "text", "expected"),
    [
        (
            "fix_html",
            "a<br />b &lt; c #39;s &amp;amp; d... 3 @.@ 5 <unk>",
            "a\nb < c 's &&& d … 3.5 xxunk",
        ),
        ("fix_html", "caf&eacute; nbsp; quot;x quot;", "café   'x '"),
        ("replace_rep", "sooo good!!!!", "s xxrep 3 o  good xxrep 4 ! "),
        ("replace_rep", "soo good!!", "soo good!!"),
        ("replace_wrep", "it is very very  very good", "it is xxwrep 3 very  good"),
        ("replace_wrep", "no no no!", " xxwrep 3 no !"),
        ("replace_wrep", "no no note no no", "no no note no no"),
        ("replace_wrep", "no no no note", " xxwrep 3 no  note"),
        ("replace_wrep", "no no no yes yes yes", " xxwrep 3 no  yes yes yes"),
        ("spec_add_spaces", "and/or #1 \\x", "and / or  # 1  \\ x"),
        ("rm_useless_spaces", "a   b \n  c", "a b \n c"),
        (
            "replace_all_caps",
            "I SAW A U.S. movie, iOS TO",
            "i xxup saw a xxup u.s. movie, iOS xxup to",
        ),
        ("replace_all_caps", "ABC\nDEF", "xxup abc\nxxup def"),
        ("replace_maj", "The McCoy A film. Well-made", "xxmaj the McCoy a film. xxmaj well-made"),
        ("lowercase", "McCoy ÉTÉ", "mccoy été"),
    ],
)
def test_rules_do_what_they_say(rule: str, text: str, expected: str) -> None:
    assert RULES[rule].apply(text) == expected


def test_replace_space_marks_blanks_within_a_token() -> None:
    assert TOKEN_RULES["replace_space"].apply("\n  ") == "\n▁▁"


TEXTS = st.text(st.sampled_from("aBcΣÉéIİ1.,!-_xX \n\t\u00a0"), max_size=30)


@pytest.mark.parametrize("name", [name for name, rule in RULES.items() if rule.scope == "chunk"])
@given(text=TEXTS)
def test_rules_that_promise_it_change_each_chunk_by_itself(name: str, text: str) -> None:
    apply = RULES[name].apply
    parts = re.split(r"(\s+)", text)
    alone = [apply(part) if part and not part.isspace() else part for part in parts]
    assert apply(text) == "".join(alone)
    assert all(bool(part) == bool(changed) and changed == changed.strip()
               for part, changed in zip(parts[::2], alone[::2], strict=True))  # fmt: skip


def test_a_users_rule_is_found_by_dotted_path(tmp_path, monkeypatch) -> None:
    (tmp_path / "my_rules.py").write_text("def shout(text):\n    return text.upper()\nfive = 5\n")
    monkeypatch.syspath_prepend(tmp_path)
    rule = find_rule("my_rules:shout", RULES)
    assert rule.apply("a") == "A"
    assert rule.scope == "text"
    with pytest.raises(ValueError, match="'my_rules:five' is a int"):
        find_rule("my_rules:five", RULES)
    with pytest.raises(ValueError, match="'my_rules:whisper' cannot be imported"):
        find_rule("my_rules:whisper", RULES)
    with pytest.raises(ValueError, match="'no_such_rules:x' cannot be imported"):
        find_rule("no_such_rules:x", RULES)
    with pytest.raises(ValueError, match=r"unknown rule 'fixhtml': .* fix_html, replace_rep"):
        find_rule("fixhtml", RULES)
    sys.modules.pop("my_rules", None)


def test_special_tokens_stand_in_the_order_of_their_ids() -> None:
    assert rules.SPECIAL_TOKENS == (
        "xxunk",
        "xxpad",
        "xxbos",
        "xxeos",
        "xxfld",
        "xxrep",
        "xxwrep",
        "xxup",
        "xxmaj",
    )
