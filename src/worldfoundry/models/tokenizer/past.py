"""What the layers of a video tokenizer keep from one piece of a clip to the next."""

from torch import Tensor

State = Tensor | tuple[Tensor, ...]
"""What one layer keeps: its last input frames, or blocks of all that temporal attention looks back at."""


class Past:
    """What the layers keep from one piece of a clip to the next, in the order in which the layers run.

    ``kept`` of one call is given to the next; the tensors are never changed. Empty at the start of a clip.
    ``attended_latents`` is how many latent frames temporal attention sees, the present one included; 0: all.
    """

    def __init__(self, kept: tuple[State, ...] = (), *, attended_latents: int = 0):
        self.is_start = not kept
        self.attended_latents = attended_latents
        self._before, self._after = iter(kept), list[State]()

    @property
    def kept(self) -> tuple[State, ...]:
        """State after the call."""
        return tuple(self._after)

    def take(self) -> Tensor:
        """Frames that the layer that asks kept in the call before."""
        state = next(self._before)
        assert isinstance(state, Tensor), "layers take what they kept, in the same order"
        return state

    def take_blocks(self) -> tuple[Tensor, ...]:
        """Blocks that the layer that asks kept in the call before; none at the start."""
        state = () if self.is_start else next(self._before)
        assert isinstance(state, tuple), "layers take what they kept, in the same order"
        return state

    def keep(self, frames: Tensor) -> None:
        """Store a copy, which does not hold the activations it is cut from."""
        self._after.append(frames.clone())

    def keep_blocks(self, blocks: tuple[Tensor, ...]) -> None:
        """Store blocks as they are: most are shared with the call before."""
        self._after.append(blocks)


def is_start(past: Past | None) -> bool:
    """Whether the frames are the first of their clip."""
    return past is None or past.is_start
