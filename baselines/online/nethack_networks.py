"""The network that plays NetHack: a screen becomes numbers, an LSTM remembers, a head chooses a key.

A small relative of the networks that were trained on NLD (Hambro et al. 2022, arXiv 2211.00539) and of the paper's:
convolutions over the whole map and over what surrounds the cursor, the bottom lines as numbers, the message, the key
before. Shapes: B screens or sequences, T steps, S bytes of an observation, W width of its encoding, H of the LSTM.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ...datasets.environments import nethack_screens as layout
from ...datasets.errors import UserError
from ..fields import Count, Positive
from .actors import Actor
from .distributions import Categorical
from .sequences import Sequences
from .transitions import StagedSpec

SYMBOLS = 256 * 16  # characters in colours
CHUNK = 1024  # screens that are encoded at a time where no gradient needs all of them
MAP = slice(1, layout.BOTTOM)  # rows of the screen


@dataclass(frozen=True)
class ScreenConfig:
    """The size of the network; a pilot's, for one core."""

    symbol_width: Count = 8  # numbers that a character in its colour becomes
    crop: Count = 9  # cells around the cursor, from side to side; the paper's
    width: Count = 256  # W
    hidden: Count = 256  # H; the paper's has 1,738
    number_scale: Positive = 0.2  # of the logarithms of the bottom lines' numbers


class ScreenEncoder(nn.Module):
    """Convolutions, embeddings and a layer that joins them: observations (B, S) uint8 to (B, W)."""

    def __init__(self, config: ScreenConfig) -> None:
        super().__init__()
        side = config.crop - 4  # two convolutions take two cells each
        if side < 1 or config.crop % 2 == 0:
            raise UserError(f"crop is {config.crop}; give an odd number, 5 or more")
        symbol = config.symbol_width
        self.config = config
        self.characters = nn.Embedding(256, symbol)
        self.colours = nn.Embedding(16, symbol)
        self.map = nn.Sequential(
            nn.Conv2d(symbol, 16, 3, stride=2, padding=1),
            nn.ReLU(),
            nn.Conv2d(16, 32, 3, stride=2, padding=1),
            nn.ReLU(),
            nn.Conv2d(32, 32, 3, stride=2, padding=1),
            nn.ReLU(),
            nn.Flatten(),  # (B, 32 * 3 * 10)
            nn.Linear(960, 128),
            nn.ReLU(),
        )
        self.crop = nn.Sequential(
            nn.Conv2d(symbol, 32, 3), nn.ReLU(), nn.Conv2d(32, 32, 3), nn.ReLU(), nn.Flatten(),
            nn.Linear(32 * side * side, 128), nn.ReLU(),
        )  # fmt: skip
        self.numbers = nn.Sequential(nn.Linear(layout.NUMBERS + len(layout.CONDITIONS), 64), nn.ReLU())
        self.message = nn.Sequential(
            nn.Conv1d(symbol, 64, 5, stride=2), nn.ReLU(), nn.AdaptiveMaxPool1d(4), nn.Flatten()
        )
        self.key = nn.Embedding(256, 16)
        self.join = nn.Sequential(nn.Linear(128 + 128 + 64 + 256 + 16, config.width), nn.ReLU())

    def forward(self, observations: Tensor) -> Tensor:
        """Encode screens, in pieces where that saves memory."""
        if len(observations) > CHUNK and not torch.is_grad_enabled():
            return torch.cat([self._encode(part) for part in torch.split(observations, CHUNK)])
        return self._encode(observations)

    def _encode(self, observations: Tensor) -> Tensor:
        shape = (-1, layout.ROWS, layout.COLUMNS)
        characters = observations[:, layout.CHARACTERS : layout.COLOURS].view(shape).int()
        colours = observations[:, layout.COLOURS : layout.CURSOR].view(shape).int()
        cursors = observations[:, layout.CURSOR : layout.KEY].long()
        symbols = characters * 16 + (colours & 15)
        # One table for characters in colours: a lookup a cell instead of two.
        table = (self.characters.weight[:, None] + self.colours.weight).view(SYMBOLS, -1)
        parts = [
            self.map(_looked_up(symbols[:, MAP], table)),
            self.crop(_looked_up(self._around(symbols, cursors), table)),
            self.numbers(self._numbers(observations)),
            self.message(F.embedding(characters[:, 0], self.characters.weight).movedim(-1, 1)),
            self.key(observations[:, layout.KEY].int()),
        ]
        return torch.as_tensor(self.join(torch.cat(parts, 1)))

    def _around(self, symbols: Tensor, cursors: Tensor) -> Tensor:
        """Symbols (B, crop, crop) around the cursors (B, 2), of screens (B, 24, 80); 0 beyond the screen."""
        reach = self.config.crop // 2
        padded = F.pad(symbols, (reach,) * 4)
        wide = padded.shape[2]
        near = torch.arange(self.config.crop)
        rows = cursors[:, 0].clamp(max=layout.ROWS - 1)[:, None] + near  # (B, crop) in the padded screen
        columns = cursors[:, 1].clamp(max=layout.COLUMNS - 1)[:, None] + near
        cells = (rows[:, :, None] * wide + columns[:, None]).flatten(1)
        return padded.flatten(1).gather(1, cells).view(-1, self.config.crop, self.config.crop)

    def _numbers(self, observations: Tensor) -> Tensor:
        """Logarithms of the bottom lines' numbers, and 0 or 1 for each condition, (B, n)."""
        numbers = observations[:, : layout.CHARACTERS].contiguous().view(torch.int32)
        bits = torch.arange(len(layout.CONDITIONS))
        conditions = (numbers[:, -1:] >> bits) & 1
        scaled = numbers.sign() * numbers.abs().float().log1p() * self.config.number_scale
        scaled[:, -1] = 0.0  # the conditions are told one by one
        return torch.cat([scaled, conditions.float()], 1)


def _looked_up(symbols: Tensor, table: Tensor) -> Tensor:
    """Embeddings (B, symbol, rows, columns), channels last, of symbols (B, rows, columns)."""
    return F.embedding(symbols, table).movedim(-1, 1)


class Memory(nn.Module):
    """An LSTM (Hochreiter and Schmidhuber 1997) that forgets all where an episode begins; gates in PyTorch's order."""

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.hidden = hidden
        self.inputs = nn.Linear(width, 4 * hidden)
        self.recurrent = nn.Linear(hidden, 4 * hidden, bias=False)

    def forward(self, encoded: Tensor, begins: Tensor, states: Tensor) -> tuple[Tensor, Tensor]:
        """Outputs (B, T, H) and states (B, 2, H) after encodings (B, T, W), from states (B, 2, H) before them."""
        output, cell = states.unbind(1)
        keep = (~begins).to(encoded.dtype)[..., None]
        outputs = []
        for step, driven in enumerate(self.inputs(encoded).unbind(1)):
            gates = torch.addmm(driven, output * keep[:, step], self.recurrent.weight.T)
            enter, forget, new, leave = gates.chunk(4, 1)
            cell = forget.sigmoid() * (cell * keep[:, step]) + enter.sigmoid() * new.tanh()
            output = leave.sigmoid() * cell.tanh()
            outputs.append(output)
        return torch.stack(outputs, 1), torch.stack([output, cell], 1)


class RecurrentActor(Actor):
    """Screens and memories to a distribution over keys. All stages share all of it."""

    def __init__(self, spec: StagedSpec, config: ScreenConfig) -> None:
        nn.Module.__init__(self)
        self.discrete = True
        self.seeds = 1
        self.encoder = ScreenEncoder(config)
        self.memory = Memory(config.width, config.hidden)
        self.head = nn.Linear(config.hidden, spec.action_dim)

    @property
    def heads(self) -> int:
        """Number of heads: one for all stages."""
        return 1

    def first_states(self, count: int) -> Tensor:
        """States (count, 2, H) in which nothing is remembered."""
        return torch.zeros(count, 2, self.memory.hidden)

    def encode(self, observations: Tensor) -> Tensor:
        """Encodings (..., W) of observations (..., S) uint8; those of encodings are themselves."""
        if observations.dtype != torch.uint8:
            return observations
        encoded: Tensor = self.encoder(observations.flatten(0, -2))
        return encoded.view(*observations.shape[:-1], -1)

    def remember(self, sequences: Sequences) -> tuple[Tensor, Tensor]:
        """Outputs (B, T, H) of the memory, and its states (B, 2, H) in the end."""
        found: tuple[Tensor, Tensor] = self.memory(
            self.encode(sequences.observations), sequences.begins, sequences.states
        )
        return found

    def choose(self, outputs: Tensor) -> Categorical:
        """The distribution at the memory's outputs (..., H)."""
        return Categorical.of_logits(self.head(outputs))

    def distribution(self, observations: Sequences, stages: Tensor) -> Categorical:  # type: ignore[override]
        """Return that over the actions at each of the B T steps, one sequence after the other."""
        return self.choose(self.remember(observations)[0].flatten(0, 1))

    def features(self, observations: Sequences) -> list[Tensor]:  # type: ignore[override]
        """Return the encodings and what is remembered: (1, B T, width) each."""
        encoded = self.encode(observations.observations)
        outputs, _ = self.memory(encoded, observations.begins, observations.states)
        return [encoded.flatten(0, 1)[None], outputs.flatten(0, 1)[None]]

    def trunk(self) -> dict[str, nn.Parameter]:
        """The parameters that are trained, by name."""
        return {name: parameter for name, parameter in self.named_parameters() if parameter.requires_grad}
