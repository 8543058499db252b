"""Hard-negative mining: only the anchors that are chosen enter the graph."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from detectors.ssdlite.matcher import BACKGROUND, NEITHER, Matches

_NEGATIVES_PER_POSITIVE = 3
_CHUNK = 4096  # rows per thread, that stay in its cache with a hundred columns


def softmax_mining_loss(logits: Tensor, matches: Matches, labels: Tensor, min_negatives: int) -> Tensor:
    """Cross-entropy over positives and the hardest negatives; background is column 0 (SSD, arXiv:1512.02325).

    Args:
        logits: [B, A, 1 + C].
        matches: The part of each anchor.
        labels: [B, A] i64 class of the matched box, 0..C-1.
        min_negatives: 0 mines three negatives a positive in each image, as the paper and torchvision do, so that an image without
            boxes teaches nothing. More than 0 mines three negatives a positive over the whole batch, and at least this many in each image.

    Returns:
        The sum of the losses.
    """
    positive = matches.index >= 0
    hardness = _hardness(logits.detach()).masked_fill(matches.index != BACKGROUND, -torch.inf)
    mined = _mine_as_published(hardness, positive, matches.index) if min_negatives == 0 else _mine_over_batch(hardness, positive, min_negatives)
    chosen = torch.cat([positive.flatten().nonzero().squeeze(1), mined])
    target = torch.where(positive, labels + 1, 0).flatten()[chosen]
    return F.cross_entropy(logits.flatten(0, 1).index_select(0, chosen), target, reduction="sum")


def _hardness(logits: Tensor) -> Tensor:
    """What ranks negatives, [B, A]: the lower the score of the background, the greater its cross-entropy; in pieces, as the maps of scores are not needed."""
    rows = logits.flatten(0, 1)
    size = _CHUNK * torch.get_num_threads() if rows.device.type == "cpu" else max(1, len(rows))
    return torch.cat([part.softmax(1)[:, 0] for part in rows.split(size)]).view(logits.shape[:2]).neg_()


def _mine_as_published(hardness: Tensor, positive: Tensor, index: Tensor) -> Tensor:
    """Rows of the flattened batch: in each image three times its positives."""
    quota = _NEGATIVES_PER_POSITIVE * positive.sum(1, keepdim=True)
    most, short = torch.stack([quota.max(), (quota > (index == BACKGROUND).sum(1, keepdim=True)).any()]).tolist()
    most = min(most, hardness.shape[1])
    # torchvision: where negatives run out, the rank goes on into the positives, in the order of its sort, and they count twice
    order = hardness.sort(1, descending=True).indices[:, :most] if short else hardness.topk(most, dim=1).indices
    wanted = (torch.arange(most, device=order.device) < quota) & (index.gather(1, order) != NEITHER)
    first_rows = torch.arange(len(order), device=order.device)[:, None] * hardness.shape[1]
    return (order + first_rows)[wanted]


def _mine_over_batch(hardness: Tensor, positive: Tensor, min_negatives: int) -> Tensor:
    """Rows of the flattened batch: three times the positives of the batch, and at least so many in each image."""
    mask = torch.zeros_like(positive)
    quota = min(int(_NEGATIVES_PER_POSITIVE * positive.sum()), hardness.numel())
    mask.view(-1)[hardness.flatten().topk(quota).indices] = True
    mask.scatter_(1, hardness.topk(min(min_negatives, hardness.shape[1]), dim=1).indices, True)
    return (mask & (hardness > -torch.inf)).flatten().nonzero().squeeze(1)
