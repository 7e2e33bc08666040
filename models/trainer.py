"""Training of a stack of runs: shuffle, steps, the kicks onto the axes, metrics, and states to resume from.

Axes: R runs, B samples of a batch (this worker's share), F features, Z latents, T steps.
"""

from collections.abc import Iterator, Mapping, Sequence
from math import isfinite
from time import perf_counter
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from models import state
from models.axes import natural_axes, subset_means
from models.batch_norm import synchronize
from models.config import ADAM, ModelConfig, Run, TrainConfig
from models.data import Samples, batches, shuffle
from models.free_energy import FreeEnergy, free_energy
from models.group import Alone, Group, average_gradients
from models.precision import AUTOCAST, check_compiler, check_precision
from models.streams import stream
from models.vae import build, objective
from models.validity import rank_of_means

HOLD = 0.6
"""Share of the steps for which the learning rate stays constant, before it falls linearly to zero."""
CHECK_STEPS = 256
"""Steps between looks at whether the loss is still finite: each waits for the device."""
FREE_ENERGY_SAMPLES = 256
ACTIVE_KL = 0.1
"""KL divergence in nats from which a latent counts as active."""


class TrainingDiverged(RuntimeError):
    """The loss of a run is no longer a finite number; the message names run, epoch and step."""


class Epoch(NamedTuple):
    """What one pass over the data has come to; means over its samples, taken while training."""

    epoch: int
    """Finished epochs, this one included."""
    reconstruction: NDArray[np.float64]
    """(R,) -ln p(x|z) in nats, summed over sites, z drawn from the posterior."""
    kl: NDArray[np.float64]
    """(R, Z) KL divergence of each latent in nats."""
    samples_per_second: float
    """Samples of all runs and workers per second of wall clock, the kick left out."""
    loader_share: float
    """Part of that time spent to shuffle, gather and unpack."""
    free_energy: FreeEnergy | None
    """Of 256 training samples, before a kick, if it was asked for; nan where posteriors are too narrow for a grid."""
    psi4: NDArray[np.float64] | None
    """(R,) confidence of the kick, NaN for a collapsed run; None in epochs that do not end with a kick."""

    @property
    def active(self) -> NDArray[np.int64]:
        """(R,) latents with a KL divergence of at least .1 nats."""
        return (self.kl >= ACTIVE_KL).sum(axis=1)


class Trainer:
    """Trains runs that differ in beta and seed alone, as one stack.

    A run's initialization, shuffle and noise depend on its own seed only, so its result depends on what it was
    stacked with by rounding alone. With a group of workers, each takes its share of every batch and all hold the
    same parameters: those of one worker alone, to rounding.

    Args:
        samples: all training data, on every worker.
        model, config: what to train and how.
        runs: members of the stack; one only with table-1.
        device: where the networks live; the samples must be there too.
        group: the other workers; None to train alone.

    Raises:
        ValueError: samples of another shape than the model's, or on another device; a beta or seed out of range; no
            runs, or several of a network that cannot be stacked; a batch that leaves a worker too few samples.
    """

    def __init__(
        self,
        samples: Samples,
        model: ModelConfig,
        config: TrainConfig,
        runs: Sequence[Run],
        *,
        device: torch.device | str = "cpu",
        group: Group | None = None,
    ) -> None:
        self.samples = samples
        self.model = model
        self.config = config
        self.runs = tuple(runs)
        self.group: Group = Alone() if group is None else group
        self.batch = min(config.batch, len(samples))
        self.device = torch.device(device)
        self._check()
        self.vae = build(model, [run.seed for run in self.runs]).to(self.device)
        synchronize(self.vae, self.group)
        self.vae.autocast = AUTOCAST[config.precision]
        self._forward = torch.compile(self.vae) if config.compile else self.vae
        self.beta_R = torch.tensor([run.beta for run in self.runs], dtype=torch.float32, device=self.device)
        self.epoch = 0
        """Finished epochs."""
        self.psi4_R = np.full(len(self.runs), np.nan)
        """Confidence of the last kick; NaN before the first and for collapsed runs."""
        adam = ADAM[model.network]
        self.learning_rate = adam.learning_rate if config.learning_rate is None else config.learning_rate
        self.optimizer = torch.optim.Adam(self.vae.parameters(), lr=self.learning_rate, betas=adam.betas, fused=True)
        state.restart_adam(self.vae, self.optimizer)

    def _check(self) -> None:
        if self.samples.shape != self.model.shape:
            raise ValueError(f"samples have shape {self.samples.shape}, but the model {self.model.shape}")
        if self.samples.width != self.model.width:
            raise ValueError(
                f"samples have {self.samples.width} feature(s) per variable, but {self.model.variable} of the model"
                f" {self.model.width}"
            )
        if self.samples.device.type != self.device.type:
            raise ValueError(f"samples are on {self.samples.device}, but the device is {self.device}")
        check_precision(self.config.precision, self.device)
        if self.config.compile:
            check_compiler(self.device)
        for index, run in enumerate(self.runs):
            if not (run.beta > 0 and isfinite(run.beta)):
                raise ValueError(f"beta must be positive and finite, got {run.beta} in run {index}")
            if not 0 <= run.seed < 2**63:
                raise ValueError(f"seed must be at least 0 and below 2^63, got {run.seed} in run {index}")
        # Batch norm has no variance to take of one sample.
        least = max(self.group.size, 2 if self.model.network == "table-1" else 1)
        if self.batch < least:
            raise ValueError(
                f"{self.group.size} worker(s) training {self.model.network} need a batch of at least {least},"
                f" got {self.batch} (batch {self.config.batch}, {len(self.samples)} samples)"
            )

    @property
    def steps_per_epoch(self) -> int:
        return len(self.samples) // self.batch

    def epochs(self) -> Iterator[Epoch]:
        """Train the epochs that are left, yielding after each; states may be taken at any yield.

        Raises:
            TrainingDiverged: the loss of a run is NaN or infinite.
        """
        while self.epoch < self.config.epochs:
            yield self._train_epoch()

    def rank(self) -> list[int]:
        """Directions of latent space that each run uses, for ``models.validity.Restart``."""
        seeds = [run.seed for run in self.runs]
        means_RMZ = subset_means(self.vae, self.samples, seeds, self.epoch)
        return [rank_of_means(means_MZ) for means_MZ in means_RMZ]

    def weights(self) -> list[dict[str, Tensor]]:
        """The network of each run, for ``models.inference.from_tensors``."""
        return [state.weights(self.vae, index) for index in range(len(self.runs))]

    def states(self) -> list[dict[str, Tensor]]:
        """All that each run needs to be resumed, alone or in any other stack: copies on the CPU."""
        return [
            {
                "epoch": torch.tensor(self.epoch),
                "seed": torch.tensor(run.seed),
                "beta": torch.tensor(run.beta, dtype=torch.float64),
                "psi4": torch.tensor(self.psi4_R[index]),
                **state.network_and_adam(self.vae, self.optimizer, index),
            }
            for index, run in enumerate(self.runs)
        ]

    def restore(self, states: Sequence[Mapping[str, Tensor]]) -> None:
        """Continue from ``states``, one per run in the order of the runs; all workers of a group restore the same.

        Training the rest then ends with the very weights of an uninterrupted training of the same stack.

        Raises:
            ValueError: another number of states than runs, states of other runs, of unequal epochs or of another
                network.
        """
        if len(states) != len(self.runs):
            raise ValueError(f"need one state per run, {len(self.runs)}, got {len(states)}")
        epochs = {int(one["epoch"]) for one in states}
        if len(epochs) > 1:
            raise ValueError(f"states of one stack must be of one epoch, got {sorted(epochs)}")
        for index, (run, one) in enumerate(zip(self.runs, states, strict=True)):
            saved = Run(float(one["beta"]), int(one["seed"]))
            if saved != run:
                raise ValueError(f"state {index} is of {saved}, but the run is {run}")
            state.restore(self.vae, self.optimizer, index, one)
        self.epoch = epochs.pop()
        self.psi4_R = np.array([float(one["psi4"]) for one in states])

    def _train_epoch(self) -> Epoch:
        self.vae.train()
        seeds = [run.seed for run in self.runs]
        noise = [stream(seed, "noise", self.epoch) for seed in seeds]
        sums_RM = torch.zeros(len(self.runs), 1 + self.model.latent, dtype=torch.float64, device=self.device)
        steps: list[Tensor] = []
        start = perf_counter()
        loading = 0.0
        loader = batches(self.samples, seeds, self.epoch, self.batch, self.group.rank, self.group.size)
        for step in range(self.steps_per_epoch):
            before = perf_counter()
            x_RBF = next(loader)
            loading += perf_counter() - before
            self.optimizer.param_groups[0]["lr"] = self.rate_at(self.epoch * self.steps_per_epoch + step)
            steps.append(self._step(x_RBF, self._draw(noise)))
            if len(steps) == CHECK_STEPS or step == self.steps_per_epoch - 1:
                sums_RM += self._finite_sum(steps, step + 1 - len(steps))
                steps.clear()
        trained = self.steps_per_epoch * self.batch
        means_RM = (sums_RM / trained).cpu().numpy()
        seconds = perf_counter() - start
        self.epoch += 1
        energy = self._free_energy() if self.config.free_energy else None
        kicked = self.epoch in self.config.kick_epochs
        return Epoch(
            epoch=self.epoch,
            reconstruction=means_RM[:, 0],
            kl=means_RM[:, 1:],
            samples_per_second=len(self.runs) * trained / seconds,
            loader_share=loading / seconds,
            free_energy=energy,
            psi4=self._kick() if kicked else None,
        )

    def _free_energy(self) -> FreeEnergy:
        """Of the same samples after every epoch: the first of each run's first shuffle."""
        self.vae.eval()
        rows_RM = torch.stack([shuffle(len(self.samples), run.seed, 0)[:FREE_ENERGY_SAMPLES] for run in self.runs])
        x_RMF = self.samples.unpack(rows_RM.flatten().to(self.device)).unflatten(0, rows_RM.shape)
        return free_energy(self.vae, x_RMF, self.beta_R)

    def _draw(self, noise: Sequence[torch.Generator]) -> Tensor:
        """Standard normal noise for this worker's share of the batch, cut from that of the whole batch."""
        shape = (self.batch, self.model.latent)
        noise_RBZ = torch.stack([torch.randn(shape, generator=generator) for generator in noise])
        share_RBZ = noise_RBZ[:, self.group.rank :: self.group.size]
        if self.device.type == "cuda":
            # From pinned memory the copy is queued; else every step would wait until the GPU has done the last one.
            share_RBZ = share_RBZ.pin_memory()
        return share_RBZ.to(self.device, non_blocking=True)

    def _step(self, x_RBF: Tensor, noise_RBZ: Tensor) -> Tensor:
        """One step of Adam; returns the sums over the batch of reconstruction and KL divergences, (R, 1 + Z)."""
        output = self._forward(x_RBF, noise_RBZ)
        # The mean of the workers' gradients is then that of the whole batch, even if their shares differ by one.
        loss = objective(output, self.beta_R) * (self.group.size / self.batch)
        self.optimizer.zero_grad()
        loss.backward()
        if self.group.size > 1:
            average_gradients(self.vae.parameters(), self.group)
        self.optimizer.step()
        terms_RBM = torch.cat([output.reconstruction_RB.unsqueeze(-1), output.kl_RBZ], dim=-1)
        return terms_RBM.detach().sum(1)

    def rate_at(self, step: int) -> float:
        """Learning rate of a step, counted from 0 over all epochs: constant for 60 % of them, then linear to zero."""
        total = self.config.epochs * self.steps_per_epoch
        return self.learning_rate * min(1.0, (total - step) / (total - HOLD * total))

    def _kick(self) -> NDArray[np.float64]:
        """Rotate the latents onto their natural axes; Adam starts anew, its moments belonged to the old ones."""
        seeds = [run.seed for run in self.runs]
        axes = natural_axes(subset_means(self.vae, self.samples, seeds, self.epoch))
        # Worker 0 decides: on unlike machines rounding could send the others to another of the equivalent rotations.
        share = float(self.group.size if self.group.rank == 0 else 0)
        rotation_RZZ = self.group.mean(torch.from_numpy(axes.rotation_RZZ).to(self.device) * share)
        self.psi4_R = self.group.mean(torch.from_numpy(axes.psi4_R).to(self.device)).cpu().numpy()
        self.vae.rotate(rotation_RZZ.to(next(self.vae.parameters())))
        state.restart_adam(self.vae, self.optimizer)
        return self.psi4_R

    def _finite_sum(self, steps: Sequence[Tensor], first: int) -> Tensor:
        """The sum (R, 1 + Z) over steps, after a look at every one of them."""
        steps_TRM = torch.stack(list(steps)).double()
        if self.group.size > 1:
            # All workers must stop together, or the others would wait for the one that does.
            steps_TRM = self.group.mean(steps_TRM)
        bad = (~torch.isfinite(steps_TRM).all(-1)).nonzero().tolist()
        if bad:
            step, index = bad[0]
            run = self.runs[index]
            raise TrainingDiverged(
                f"loss is not finite at step {first + step + 1} of epoch {self.epoch + 1}"
                f" of run {index} (beta {run.beta:g}, seed {run.seed}); a lower learning rate than"
                f" {self.learning_rate:g} may help"
            )
        return steps_TRM.sum(0) * self.group.size
