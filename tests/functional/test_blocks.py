import pytest
import torch

from clipact.functional._blocks import Scratch, blocks

SHAPES = [(2**18,), (3, 2**17), (5, 7, 40, 400), (1, 1, 2**20), (2**18, 1)]


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("shape", SHAPES)
def test_pieces_cover_everything_once_and_stay_small(shape, threads, monkeypatch):
    monkeypatch.setattr(torch, "get_num_threads", lambda: threads)
    counts = torch.zeros(shape)
    pieces = [piece for (piece,) in blocks(counts)]
    for piece in pieces:
        piece.add_(1)
    assert (counts == 1).all()
    assert len(pieces) > counts.numel() * 4 // (512 * 1024 * threads) - 1
    assert max(piece.numel() for piece in pieces) * 4 <= 512 * 1024 * threads


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("granularity", [(1, 1, 1, 1), (1, 7, 1, 1), (1, 7, 200, 200)])
def test_what_broadcasts_is_cut_along(layout, granularity):
    lead = torch.zeros(4, 7, 200, 200).to(memory_format=layout)
    threshold = torch.rand(granularity)
    for piece, part in blocks(lead, threshold):
        piece.add_(part)
    assert torch.equal(lead, threshold.expand_as(lead))


@pytest.mark.parametrize("shape", [(), (0,), (3, 0, 2), (5, 4)])
def test_a_small_tensor_is_one_piece(shape):
    lead = torch.zeros(shape)
    ((piece,),) = blocks(lead)
    assert piece is lead


def test_pieces_share_their_scratch():
    scratch = Scratch(2)
    first, second = scratch.like(torch.zeros(4, 6))
    assert first.data_ptr() != second.data_ptr()
    assert [t.data_ptr() for t in scratch.like(torch.ones(4, 6))] == [
        first.data_ptr(),
        second.data_ptr(),
    ]
    smaller = scratch.like(torch.zeros(3, 6))
    assert [tuple(t.shape) for t in smaller] == [(3, 6), (3, 6)]
    assert smaller[0].data_ptr() == first.data_ptr()
    assert scratch.like(torch.zeros(9, 9))[0].shape == (9, 9)
