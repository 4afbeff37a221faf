"""Acting with a trajectory model in episodes that are played side by side, and what is kept between steps.

A Decision Transformer reads its last K steps for each action. As the window slides by a step, some results stay the
same for a token: its embedding and, where the backbone does not mark positions in the window, its queries, keys and
values in the first layer. `EmbeddedWindow` keeps these and computes them for the three new tokens only. It chooses the
same actions as reading the whole window.

The outputs of later layers do change, since they depend on the token that left the window. `CachedContext` therefore
lets the window grow: keys and values of all layers are kept and three tokens join them, until K steps are there. Then
it begins again with the newer half of them. So an action is chosen from the last K/2 to K steps, at the positions that
training gave to windows of that length. This is a slightly different policy: it often sees fewer than K steps. In the
first K steps of an episode both are equal.

Shapes: E episodes side by side, L tokens, D width.
"""

from torch import Tensor

from .policy import Actor, History
from .trajectory_model import NEWEST, Past, TrajectoryModel

ROOM = 4  # windows that a buffer holds: what is still seen moves to another one that seldom, not at every step


def acting(model: TrajectoryModel, context: int, cached_context: bool) -> Actor:
    """An actor (`Policy.begin_episodes`) of a model that has a context of K steps."""
    return CachedContext(model, context) if cached_context else EmbeddedWindow(model)


class EmbeddedWindow:
    """Choose from the whole window; keep what depends on one token alone."""

    def __init__(self, model: TrajectoryModel) -> None:
        self.model = model
        self.window: SlidingWindow | None = None

    def __call__(self, history: History, kept: Tensor) -> Tensor:
        """The newest step's actions; `kept` (E,) int64 are the places that these episodes had in the call before."""
        steps = history.returns_to_go.shape[1]
        backbone = self.model.backbone
        if steps == 1 or self.window is None:
            tokens = self.model.embed(history)[:, :-1]  # the newest action is not chosen yet
            self.window = SlidingWindow(backbone.begin(tokens))
        else:
            self.window.keep(kept)
            tokens = self.model.embed_newest(history)
            self.window.join(backbone.begin(tokens), limit=3 * steps - 1)
        return self.model.choose(backbone.finish(self.window.tokens, NEWEST)[:, 0])


class SlidingWindow:
    """The newest tokens (E, L, W) of sequences, in a buffer with spare room: adding tokens seldom moves others."""

    def __init__(self, tokens: Tensor) -> None:
        self.buffer = tokens
        self.start = 0
        self.end = tokens.shape[1]

    @property
    def tokens(self) -> Tensor:
        """The tokens in the window, a view."""
        return self.buffer[:, self.start : self.end]

    def keep(self, rows: Tensor) -> None:
        """Keep these sequences (E,) int64, in the given order."""
        if len(rows) < len(self.buffer):
            self.buffer = self.buffer[rows]

    def join(self, tokens: Tensor, limit: int) -> None:
        """Append tokens (E, l, W) and drop the earliest beyond `limit`."""
        if self.end + tokens.shape[1] > self.buffer.shape[1]:
            before = self.tokens
            self.buffer = before.new_empty(before.shape[0], ROOM * limit, before.shape[2])
            self.start = 0
            self.end = before.shape[1]
            self.buffer[:, : self.end] = before
        self.buffer[:, self.end : self.end + tokens.shape[1]] = tokens
        self.end += tokens.shape[1]
        self.start = max(self.start, self.end - limit)


class CachedContext:
    """Choose from a window that grows; keep its keys and values."""

    def __init__(self, model: TrajectoryModel, context: int) -> None:
        self.model = model
        self.context = context
        self.steps = 0
        self.episodes = 0
        self.past: Past = model.backbone.new_past()

    def __call__(self, history: History, kept: Tensor) -> Tensor:
        """The newest step's actions; `kept` (E,) int64 are the places that these episodes had in the call before."""
        if self.steps % self.context == 0:
            self.past = self.model.backbone.new_past()
            self.steps = min(history.returns_to_go.shape[1], max(1, self.context // 2))
            tokens = self.model.embed(history.newest(self.steps))[:, :-1]
        else:
            if len(kept) < self.episodes:
                self.past.batch_select_indices(kept)
            self.steps += 1
            tokens = self.model.embed_newest(history)
        self.episodes = len(tokens)
        return self.model.choose(self.model.backbone.extend(tokens, self.past, NEWEST)[:, 0])
