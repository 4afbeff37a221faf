"""Acting with a trajectory model in episodes that are played side by side: what is kept from step to step.

A Decision Transformer reads its last K steps anew for each action. What is computed of each token by itself stays the
same as the window slides: what it is embedded to and, where the backbone does not mark positions in the window, its
queries, keys and values in the first layer. So that much is kept, and computed of the three tokens that are new
(`EmbeddedWindow`).

What the backbone makes of them together does not stay: what the earliest token was to the others leaves with it.
`CachedContext` lets the window grow instead: keys and values of what was read are kept and three tokens join them,
until K steps are there; then it is begun anew from the newer half of them. An action is chosen from the last K/2 to K
steps, at the positions that training gave windows of that length. That is another policy, a little: it has seen fewer
steps, where the plain one always has K. Up to the first K steps of an episode both are equal.

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
    """Choose from the whole window; what each token is by itself is kept."""

    def __init__(self, model: TrajectoryModel) -> None:
        self.model = model
        self.window: SlidingWindow | None = None

    def __call__(self, history: History, kept: Tensor) -> Tensor:
        """The newest step's actions; `kept` (E,) int64 are these episodes' places in the call before."""
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
    """The newest tokens (E, L, W) of sequences, in a buffer with room: few are moved as some join and others leave."""

    def __init__(self, tokens: Tensor) -> None:
        self.buffer = tokens
        self.start = 0
        self.end = tokens.shape[1]

    @property
    def tokens(self) -> Tensor:
        """The tokens in the window, a view."""
        return self.buffer[:, self.start : self.end]

    def keep(self, rows: Tensor) -> None:
        """Keep these sequences (E,) int64, in the order that they have."""
        if len(rows) < len(self.buffer):
            self.buffer = self.buffer[rows]

    def join(self, tokens: Tensor, limit: int) -> None:
        """Tokens (E, l, W) come behind the others, of which the earliest leave: `limit` are left of all."""
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
    """Choose from a window that grows; its keys and values are kept."""

    def __init__(self, model: TrajectoryModel, context: int) -> None:
        self.model = model
        self.context = context
        self.steps = 0
        self.episodes = 0
        self.past: Past = model.backbone.new_past()

    def __call__(self, history: History, kept: Tensor) -> Tensor:
        """The newest step's actions; `kept` (E,) int64 are these episodes' places in the call before."""
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
