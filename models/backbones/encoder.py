"""SAM's image encoder at any input size, with fast attention that is numerically the same.

Parameters, names and values are those of ``segment_anything``'s ``ImageEncoderViT``; only the
way the forward pass is computed differs, in three points that are exact up to rounding:

* No work on padding. The original pads the token grid to whole windows and runs the projections
  on the padded tokens. A padded token is zero after the norm, so its key is the key bias and its
  value the value bias, for every image. All pads of a window are therefore one key with the
  value bias, whose score adds the log-sum-exp of the pads' relative positions.
* Without gradients the decomposed relative position (MViTv2, arXiv 2112.01526, section 4.1)
  enters ``scaled_dot_product_attention`` as a mask, a few rows of queries at a time.
* With gradients it is folded into extra channels of query and key, so that the fused kernels,
  which take no mask with gradients, still apply and no score matrix is saved for backward.

Under autocast the rounded copies of frozen weights are kept: half the encoder's memory again.

Shape letters: B frames, H W token rows and columns, D channels, N windows x frames, A heads,
h w rows and columns of one window, L = h * w queries, K keys, C channels of a head.
"""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812 - the customary name
from segment_anything.modeling import ImageEncoderViT
from segment_anything.modeling.image_encoder import Block as OfficialBlock
from torch import Tensor, nn
from torch.compiler import is_compiling
from torch.utils.checkpoint import checkpoint

_MASK_BYTES = {False: 16 * 2**20, True: 2**30}
"""Size of the relative-position mask that is built at a time, by ``is_cuda``: about what the cache
of a CPU holds; on a GPU enough to fill it."""


class ImageEncoder(ImageEncoderViT):
    """``ImageEncoderViT`` with fast attention, places for adapters, and checkpointing."""

    checkpointing: bool = False
    """Recompute each block in the backward pass instead of keeping its activations."""
    folded: bool = False
    """Fold relative positions into query and key without gradients, too: no mask is built."""
    rounded_once: bool = True
    """Keep the rounded copies of frozen weights under autocast, not round at every call."""

    def __init__(self, *args: Any, **kwargs: Any):
        super().__init__(*args, **kwargs)
        for block in self.blocks:
            block.__class__ = Block  # the constructor of the original makes its own

    def forward(
        self,
        x: Tensor,
        tokens: Sequence[Tensor | None] = (),
        adapters: Sequence[nn.Module] = (),
    ) -> Tensor:
        """Encode images.

        Args:
            x: float ``[B, 3, H * patch, W * patch]``, normalised pixels.
            tokens: empty, or depth + 1 entries, each None or ``[B, 1, 1, D]``: entry i is added
                to the input of block i, the last one to the output of the last block.
            adapters: empty, or depth modules ``[B, H, W, D] -> [B, H, W, D]`` beside the MLPs.

        Returns:
            float ``[B, out_chans, H, W]``.
        """
        x_BHWD = self.patch_embed(x)
        if self.pos_embed is not None:
            x_BHWD = x_BHWD + self.pos_embed
        for index, block in enumerate(self.blocks):
            if tokens and (token := tokens[index]) is not None:
                x_BHWD = x_BHWD + token
            adapter = adapters[index] if adapters else None
            step = partial(block, folded=self.folded, rounded_once=self.rounded_once)
            if self.checkpointing and torch.is_grad_enabled():
                x_BHWD = checkpoint(step, x_BHWD, adapter, use_reentrant=False)
            else:
                x_BHWD = step(x_BHWD, adapter)
        if tokens and (token := tokens[-1]) is not None:
            x_BHWD = x_BHWD + token
        return self.neck(x_BHWD.permute(0, 3, 1, 2))


class Block(OfficialBlock):
    """One block of the encoder; called as a module, so that it can be sharded."""

    def forward(
        self,
        x_BHWD: Tensor,
        adapter: nn.Module | None = None,
        *,
        folded: bool = False,
        rounded_once: bool = True,
    ) -> Tensor:
        """Run on tokens ``[B, H, W, D]``; the switches are `ImageEncoder`'s."""
        linear = _linear if rounded_once else _plain_linear
        normed = self.norm1(x_BHWD)
        x_BHWD = x_BHWD + _attend(self.attn, normed, self.window_size, folded, linear)
        normed = self.norm2(x_BHWD)
        out = x_BHWD + linear(self.mlp.lin2, self.mlp.act(linear(self.mlp.lin1, normed)))
        return out if adapter is None else out + adapter(normed)


Linear = Callable[[nn.Linear, Tensor], Tensor]


def _plain_linear(layer: nn.Linear, x: Tensor) -> Tensor:
    return layer(x)


def _linear(layer: nn.Linear, x: Tensor) -> Tensor:
    """Apply a layer; under autocast a frozen weight is rounded once, not at every call.

    Autocast caches rounded weights of trained layers only. It would round those of frozen layers
    again in each forward pass and keep them for the backward pass.
    """
    weight, device = layer.weight, x.device.type
    if weight.requires_grad or not torch.is_autocast_enabled(device) or is_compiling():
        return layer(x)
    dtype = torch.get_autocast_dtype(device)
    key = weight.data_ptr(), weight._version, dtype
    held = layer.__dict__.get("_rounded")
    if held is None or held[0] != key:
        held = key, weight.detach().to(dtype), layer.bias.detach().to(dtype)
        layer.__dict__["_rounded"] = held
    return F.linear(x, held[1], held[2])


def _attend(attn: Any, x_BHWD: Tensor, window: int, folded: bool, linear: Linear) -> Tensor:
    """Attend inside windows (``window = 0``: over the whole grid), without padding."""
    B, H, W, D = x_BHWD.shape
    A = attn.num_heads
    size_h, size_w = (window, window) if window else (H, W)
    qkv = linear(attn.qkv, x_BHWD).view(B, H, W, 3, A, D // A)
    table_h = _relative(attn.rel_pos_h, size_h)
    table_w = _relative(attn.rel_pos_w, size_w)
    pad_kv = attn.qkv.bias.to(qkv.dtype).view(3, A, 1, D // A)[1:]
    bands = []
    for rows in _bands(H, size_h):
        cells = []
        for columns in _bands(W, size_w):
            part = qkv[:, rows.start : rows.stop, columns.start : columns.stop]
            h, w = rows.step, columns.step
            q, k, v = _to_windows(part, h, w)
            padded = (h, w) != (size_h, size_w)
            tables = table_h[:h], table_w[:w]
            out = _window(q, k, v, tables, pad_kv if padded else None, folded)
            cells.append(_from_windows(out, B, part.shape[1:3], (h, w)))
        bands.append(torch.cat(cells, dim=2) if len(cells) > 1 else cells[0])
    return linear(attn.proj, torch.cat(bands, dim=1) if len(bands) > 1 else bands[0])


def _bands(size: int, window: int) -> Iterator[slice]:
    """Yield an axis' whole windows and its rest; ``step`` is the window's real length."""
    whole = size - size % window
    if whole:
        yield slice(0, whole, window)
    if whole < size:
        yield slice(whole, size, size - whole)


def _relative(table: Tensor, size: int) -> Tensor:
    """Return relative positions: ``[2M-1, C] -> [size, size, C]`` (query, key)."""
    if table.shape[0] != 2 * size - 1:
        table = F.interpolate(table.T[None], size=2 * size - 1, mode="linear")[0].T
    offset = torch.arange(size, device=table.device)
    return table[offset[:, None] - offset[None, :] + size - 1]


def _to_windows(part: Tensor, h: int, w: int) -> Tensor:
    """Reshape ``[B, H, W, 3, A, C] -> [3, N, A, h * w, C]``."""
    B, H, W, _, A, C = part.shape
    part = part.reshape(B, H // h, h, W // w, w, 3, A, C)
    return part.permute(5, 0, 1, 3, 6, 2, 4, 7).reshape(3, -1, A, h * w, C)


def _from_windows(out: Tensor, B: int, size: Sequence[int], hw: tuple[int, int]) -> Tensor:
    """Reshape ``[N, A, h * w, C] -> [B, H, W, A * C]``."""
    (H, W), (h, w) = size, hw
    _, A, _, C = out.shape
    out = out.reshape(B, H // h, W // w, A, h, w, C)
    return out.permute(0, 1, 4, 2, 5, 3, 6).reshape(B, H, W, A * C)


def _window(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    tables: tuple[Tensor, Tensor],
    pad_kv: Tensor | None,
    folded: bool,
) -> Tensor:
    """Attend inside equal windows.

    Args:
        q: ``[N, A, h * w, C]``; k and v alike.
        k: keys of the real tokens.
        v: values of the real tokens.
        tables: relative positions ``[h, size_h, C]`` and ``[w, size_w, C]``.
        pad_kv: ``[2, A, 1, C]``, key and value of a padded token, or None without pads.
        folded: build no mask even without gradients.
    """
    h, w = len(tables[0]), len(tables[1])
    if pad_kv is not None:
        pad_k, pad_v = (t.expand(len(q), -1, -1, -1) for t in pad_kv)
        k, v = torch.cat((k, pad_k), dim=2), torch.cat((v, pad_v), dim=2)
    gradients = torch.is_grad_enabled() and (q.requires_grad or tables[0].requires_grad)
    if folded or gradients:
        return _folded(q, k, v, tables, pad_kv is not None)
    N, A = q.shape[:2]
    rows = max(1, _MASK_BYTES[q.is_cuda] // (N * A * w * k.shape[2] * q.element_size()))
    outs = []
    for y in range(0, h, rows):
        part = q[:, :, y * w : (y + rows) * w]
        rel_h, rel_w, pad = _scores(part, (tables[0][y : y + rows], tables[1]), (h, w))
        bias = (rel_h[..., :, None] + rel_w[..., None, :]).flatten(-2)
        bias = bias if pad is None else torch.cat((bias, pad), dim=-1)
        bias = bias.flatten(2, 3)
        outs.append(F.scaled_dot_product_attention(part, k, v, attn_mask=bias.to(q.dtype)))
    return torch.cat(outs, dim=2) if len(outs) > 1 else outs[0]


def _scores(
    q: Tensor, tables: tuple[Tensor, Tensor], hw: tuple[int, int]
) -> tuple[Tensor, Tensor, Tensor | None]:
    """Compute the scores of the queries' relative positions.

    Returns:
        ``[N, A, y, x, h]`` by row, ``[N, A, y, x, w]`` by column, and for windows with pads the
        logarithm of their summed exponentials, ``[N, A, y, x, 1]``, else None.
    """
    h, w = hw
    table_h, table_w = (t.to(q.dtype) for t in tables)
    q = q.unflatten(2, (len(table_h), len(table_w)))
    rel_h = torch.einsum("nayxc,ykc->nayxk", q, table_h)
    rel_w = torch.einsum("nayxc,xkc->nayxk", q, table_w)
    size_h, size_w = table_h.shape[1], table_w.shape[1]
    pads = []
    if w < size_w:
        pads.append(_lse(rel_h[..., :h]) + _lse(rel_w[..., w:]))
    if h < size_h:
        pads.append(_lse(rel_h[..., h:]) + _lse(rel_w))
    pad = torch.logsumexp(torch.stack(pads), dim=0)[..., None] if pads else None
    return rel_h[..., :h], rel_w[..., :w], pad


def _lse(scores: Tensor) -> Tensor:
    return torch.logsumexp(scores.to(torch.promote_types(scores.dtype, torch.float32)), dim=-1)


def _folded(q: Tensor, k: Tensor, v: Tensor, tables: tuple[Tensor, Tensor], padded: bool) -> Tensor:
    """Attend with the relative positions as further channels of query and key (exact)."""
    h, w = len(tables[0]), len(tables[1])
    C = q.shape[-1]
    rel_h, rel_w, pad = _scores(q, tables, (h, w))
    extra = [rel_h, rel_w] if pad is None else [rel_h, rel_w, pad.to(q.dtype)]
    q = torch.cat((q * C**-0.5, torch.cat(extra, dim=-1).flatten(2, 3)), dim=-1)
    row, column = torch.eye(h), torch.eye(w)
    places = torch.cat((row.repeat_interleave(w, 0), column.repeat(h, 1)), dim=1)
    if padded:
        places = F.pad(places, (0, 1, 0, 1))
        places[-1, -1] = 1
    places = places.to(q).expand(*k.shape[:2], -1, -1)
    k = torch.cat((k, places), dim=-1)
    v = F.pad(v, (0, k.shape[-1] - C))  # the fused kernels want one width for q, k and v
    return F.scaled_dot_product_attention(q, k, v, scale=1.0)[..., :C]
