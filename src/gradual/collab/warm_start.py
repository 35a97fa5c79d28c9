"""A recommender that starts from an earlier one, as far as users and items are the same.

An earlier bundle holds each user's and item's row with all that properties and ratings have added
to it. These rows are where the new table starts, and what adds to it starts from nothing, so that
the new recommender answers at first as the earlier one did; users and items that are new get the
mean row, as those that a recommender does not know.
"""

import logging

import numpy as np
import torch
from torch import Tensor

from gradual.collab.ids import IdMap
from gradual.collab.models import CollabNet
from gradual.collab.recommender import KIND, Recommender
from gradual.training.bundle import Bundle

logger = logging.getLogger(__name__)

_SAME = ("interaction", "factors", "y_range")


@torch.no_grad()
def fill_from(
    bundle: Bundle, net: CollabNet, users: IdMap, items: IdMap, time_edges: list[float]
) -> None:
    """Copy what both recommenders have, and say how much that is, or why nothing can be.

    Args:
        bundle: The earlier recommender.
        net: The new one, untrained.
        users: Its users.
        items: Its items.
        time_edges: Times between the bins of its biases in time.
    """
    name = f"{bundle.origin or 'the champion'} ({bundle.hash[:12]}…)"
    differing = f"is a {bundle.kind!r}" if bundle.kind != KIND else ""
    if not differing:
        earlier = Recommender.from_bundle(bundle)
        same = _SAME if net.config.interaction == "dot_bias" else (*_SAME, "layers", "dropout")
        other = [one for one in same if getattr(earlier.config, one) != getattr(net.config, one)]
        differing = f"has another {', '.join(other)}" if other else ""
    if differing:
        logger.warning("Recommender: starts from random weights, as %s %s", name, differing)
        return
    places = [earlier.user_ids.encode(users.ids), earlier.item_ids.encode(items.ids)]
    # Row 0 is the mean of the others.
    rows = [
        source[np.append(0, place)]
        for source, place in zip((earlier.users, earlier.items), places, strict=True)
    ]
    net.table.weight.copy_(torch.cat(rows))
    net.interaction.load_state_dict(earlier.interaction.state_dict())
    if net.rated is not None:
        net.rated.weight.zero_()
    if net.in_time is not None:
        net.in_time.weight.copy_(_time_biases(earlier, places, time_edges))
    # The score that all begin from goes with the ratings' mean, which has moved: rows are used to
    # the earlier one.
    net.offset = earlier.offset
    logger.info(
        "Recommender: starts from %s: %s of %s users and %s of %s items known",
        name,
        *(f"{n:,}" for place in places for n in (int((place > 0).sum()), len(place))),
    )


def _time_biases(earlier: Recommender, places: list[np.ndarray], edges: list[float]) -> Tensor:
    """Each new span's biases are those of the earlier span in which its middle lies; else 0."""
    count = sum(len(place) + 1 for place in places)
    if earlier.user_times is None or earlier.item_times is None:
        return torch.zeros(count * (len(edges) + 1), 1)
    middles = np.add(edges[1:], edges[:-1]) / 2
    inner = np.searchsorted(earlier.time_edges, middles, "right")
    spans = np.array([0, *inner, len(earlier.time_edges)])  # the first and the last have no end
    biases = [
        source[np.append(0, place)][:, spans]
        for source, place in zip((earlier.user_times, earlier.item_times), places, strict=True)
    ]
    return torch.cat(biases).view(-1, 1)
