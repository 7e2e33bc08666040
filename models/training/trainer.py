"""Training of a stack of members: shuffle, steps, the kicks onto the axes, metrics, and states to resume from.

Axes: R members, B samples of a batch (this worker's share), F features, Z latents, T steps.
"""

from collections.abc import Iterator, Mapping, Sequence
from math import isfinite
from time import perf_counter

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from models.compute.group import Alone, Group, average_gradients
from models.compute.precision import AUTOCAST, check_compiler, check_precision
from models.compute.streams import stream
from models.config import ADAM, Member, ModelConfig, TrainConfig
from models.data.augment import Augmentation
from models.data.samples import Samples, batches, shuffle
from models.latent_space.axes import natural_axes, subset_means
from models.latent_space.free_energy import FreeEnergy, free_energy
from models.latent_space.validity import rank_of_means
from models.networks.batch_norm import synchronize
from models.training import state
from models.training.epoch import QUIET_KL, Epoch, Tally
from models.vae import build, objective

HOLD = 0.6
"""Share of the steps for which the learning rate stays constant, before it falls linearly to zero."""
FREE_ENERGY_SAMPLES = 256


class TrainingDiverged(RuntimeError):
    """The loss of a member is no longer a finite number; the message names member, epoch and step."""


class Trainer:
    """Trains members that differ in beta and seed alone, as one stack.

    A member's initialization, shuffle and noise depend on its own seed only, so its result depends on what it was
    stacked with by rounding alone. With a group of workers, each takes its share of every batch and all hold the
    same parameters: those of one worker alone, to rounding.

    Args:
        samples: all training data, on every worker.
        model, config: what to train and how.
        members: members of the stack; one only with table-1.
        device: where the networks live; the samples must be there too.
        group: the other workers; None to train alone.

    Raises:
        ValueError: samples of another shape than the model's, or on another device; a beta or seed out of range; no
            members, or several of a network that cannot be stacked; a batch that leaves a worker too few samples.
    """

    def __init__(
        self,
        samples: Samples,
        model: ModelConfig,
        config: TrainConfig,
        members: Sequence[Member],
        *,
        device: torch.device | str = "cpu",
        group: Group | None = None,
    ) -> None:
        self.samples = samples
        self.model = model
        self.config = config
        self.members = tuple(members)
        self.group: Group = Alone() if group is None else group
        self.batch = min(config.batch, len(samples))
        self.device = torch.device(device)
        self._check()
        self.vae = build(model, [member.seed for member in self.members]).to(self.device)
        synchronize(self.vae, self.group)
        self.vae.autocast = AUTOCAST[config.precision]
        self._forward = torch.compile(self.vae) if config.compile else self.vae
        self.beta_R = torch.tensor([member.beta for member in self.members], dtype=torch.float32, device=self.device)
        self.epoch = 0
        """Finished epochs."""
        self.step = 0
        """Finished steps of the epoch after them."""
        self._tally = Tally(len(self.members), 1 + model.latent, self.group)
        self.psi4_R = np.full(len(self.members), np.nan)
        """Confidence of the last kick; NaN before the first and for collapsed members."""
        self.quiet_R = np.zeros(len(self.members), dtype=np.int64)
        """For how many epochs now all latents of a member together have carried less than ``QUIET_KL``."""
        adam = ADAM[model.network]
        self.learning_rate = adam.learning_rate if config.learning_rate is None else config.learning_rate
        self.augmentation = Augmentation(config.augment, model) if config.augment else None
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
        for index, member in enumerate(self.members):
            if not (member.beta > 0 and isfinite(member.beta)):
                raise ValueError(f"beta must be positive and finite, got {member.beta} in member {index}")
            if not 0 <= member.seed < 2**63:
                raise ValueError(f"seed must be at least 0 and below 2^63, got {member.seed} in member {index}")
        # Batch norm has no variance to take of one sample.
        least = max(self.group.size, 2 if self.model.network == "table-1" else 1)
        if self.batch < least:
            raise ValueError(
                f"{self.group.size} worker(s) training {self.model.network} need a batch of at least {least},"
                f" got {self.batch} (batch {self.config.batch}, {len(self.samples)} samples)"
            )

    @property
    def pace(self) -> float:
        """Seconds that a step takes, on average over the last second and all workers; 0 before the first."""
        return self._tally.pace

    @property
    def steps_per_epoch(self) -> int:
        return len(self.samples) // self.batch

    def epochs(self) -> Iterator[Epoch]:
        """Train the epochs that are left, yielding after each; states may be taken at any yield.

        Raises:
            TrainingDiverged: the loss of a member is NaN or infinite.
        """
        return (epoch for epoch in self.parts() if epoch is not None)

    def parts(self) -> Iterator[Epoch | None]:
        """The same, yielding None within epochs as well: after about a second, or after a step that takes longer.

        States may be taken there, too. All workers of a group yield at the same steps.
        """
        while self.epoch < self.config.epochs:
            yield from self._train_epoch()

    def rank(self) -> list[int]:
        """Directions of latent space that each member uses, for ``models.latent_space.validity.Restart``."""
        seeds = [member.seed for member in self.members]
        means_RMZ = subset_means(self.vae, self.samples, seeds, self.epoch)
        return [rank_of_means(means_MZ) for means_MZ in means_RMZ]

    def weights(self) -> list[dict[str, Tensor]]:
        """The network of each member, for ``models.inference.from_tensors``."""
        return [state.weights(self.vae, index) for index in range(len(self.members))]

    def states(self) -> list[dict[str, Tensor]]:
        """All that each member needs to be resumed, alone or in any other stack: copies on the CPU."""
        return [
            {
                "epoch": torch.tensor(self.epoch),
                "step": torch.tensor(self.step),
                "sums": self._tally.sums_RM[index].clone(),
                "seed": torch.tensor(member.seed),
                "beta": torch.tensor(member.beta, dtype=torch.float64),
                "psi4": torch.tensor(self.psi4_R[index]),
                "quiet": torch.tensor(self.quiet_R[index]),
                **state.network_and_adam(self.vae, self.optimizer, index),
            }
            for index, member in enumerate(self.members)
        ]

    def restore(self, states: Sequence[Mapping[str, Tensor]]) -> None:
        """Continue from ``states``, one per member in their order; all workers of a group restore the same.

        Training the rest then ends with the very weights of an uninterrupted training of the same stack.

        Raises:
            ValueError: another number of states than members, states of other members, of unequal epochs or steps, or
                of another network.
        """
        if len(states) != len(self.members):
            raise ValueError(f"need one state per member, {len(self.members)}, got {len(states)}")
        epochs = {int(tensors["epoch"]) for tensors in states}
        if len(epochs) > 1:
            raise ValueError(f"states of one stack must be of one epoch, got {sorted(epochs)}")
        # Older states are of whole epochs.
        steps = {int(tensors.get("step", 0)) for tensors in states}
        if len(steps) > 1:
            raise ValueError(f"states of one stack must be of one step, got {sorted(steps)}")
        for index, (member, tensors) in enumerate(zip(self.members, states, strict=True)):
            saved = Member(float(tensors["beta"]), int(tensors["seed"]))
            if saved != member:
                raise ValueError(f"state {index} is of {saved}, but the member is {member}")
            state.restore(self.vae, self.optimizer, index, tensors)
        self.epoch, self.step = epochs.pop(), steps.pop()
        self._tally.clear()
        if self.step:
            self._tally.sums_RM = torch.stack([tensors["sums"].double() for tensors in states])
        self.psi4_R = np.array([float(tensors["psi4"]) for tensors in states])
        self.quiet_R = np.array([int(tensors.get("quiet", 0)) for tensors in states])

    def _train_epoch(self) -> Iterator[Epoch | None]:
        seeds = [member.seed for member in self.members]
        noise = [stream(seed, "noise", self.epoch) for seed in seeds]
        for _ in range(self.step):
            self._whole_noise(noise)
        share = self.group.rank, self.group.size, self.step
        loader = batches(self.samples, seeds, self.epoch, self.batch, *share, self.augmentation)
        self.vae.train()
        first, seconds, loading = self.step, 0.0, 0.0
        while self.step < self.steps_per_epoch:
            start, looked = perf_counter(), self.step
            look = False
            while not look:
                before = perf_counter()
                x_RBF = next(loader)
                loading += perf_counter() - before
                self.optimizer.param_groups[0]["lr"] = self.rate_at(self.epoch * self.steps_per_epoch + self.step)
                look = self._tally.add(self._step(x_RBF, self._draw(noise)))
                self.step += 1
                look = look or self.step == self.steps_per_epoch
            self._check_finite(self._tally.take_in(perf_counter() - start), looked)
            seconds += perf_counter() - start
            if self.step < self.steps_per_epoch:
                yield None
                self.vae.train()
        yield self._finished_epoch(first, seconds, loading)

    def _finished_epoch(self, first: int, seconds: float, loading: float) -> Epoch:
        """Close an epoch whose steps from ``first`` took ``seconds``, ``loading`` of them in the loader."""
        means_RM = (self._tally.sums_RM / (self.steps_per_epoch * self.batch)).numpy()
        self.quiet_R = np.where(means_RM[:, 1:].sum(1) < QUIET_KL, self.quiet_R + 1, 0)
        samples = len(self.members) * (self.steps_per_epoch - first) * self.batch
        self._tally.clear()
        self.step = 0
        self.epoch += 1
        energy = self._free_energy() if self.config.free_energy else None
        kicked = self.epoch in self.config.kick_epochs
        return Epoch(
            epoch=self.epoch,
            reconstruction=means_RM[:, 0],
            kl=means_RM[:, 1:],
            samples_per_second=samples / seconds,
            loader_share=loading / seconds,
            free_energy=energy,
            psi4=self._kick() if kicked else None,
        )

    def _free_energy(self) -> FreeEnergy:
        """Of the same samples after every epoch: the first of each member's first shuffle."""
        self.vae.eval()
        rows_RM = torch.stack(
            [shuffle(len(self.samples), member.seed, 0)[:FREE_ENERGY_SAMPLES] for member in self.members]
        )
        x_RMF = self.samples.unpack(rows_RM.flatten().to(self.device)).unflatten(0, rows_RM.shape)
        return free_energy(self.vae, x_RMF, self.beta_R)

    def _whole_noise(self, noise: Sequence[torch.Generator]) -> Tensor:
        """Standard normal noise for the whole batch of the next step."""
        shape = (self.batch, self.model.latent)
        return torch.stack([torch.randn(shape, generator=generator) for generator in noise])

    def _draw(self, noise: Sequence[torch.Generator]) -> Tensor:
        """Standard normal noise for this worker's share of the batch, cut from that of the whole batch."""
        share_RBZ = self._whole_noise(noise)[:, self.group.rank :: self.group.size]
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
        reconstruction_RB, kl_RBZ = output.reconstruction_RB.detach(), output.kl_RBZ.detach()
        return torch.cat([reconstruction_RB.unsqueeze(-1), kl_RBZ], dim=-1).sum(1)

    def rate_at(self, step: int) -> float:
        """Learning rate of a step, counted from 0 over all epochs: constant for 60 % of them, then linear to zero."""
        total = self.config.epochs * self.steps_per_epoch
        return self.learning_rate * min(1.0, (total - step) / (total - HOLD * total))

    def _kick(self) -> NDArray[np.float64]:
        """Rotate the latents onto their natural axes; Adam starts anew, its moments belonged to the old ones."""
        seeds = [member.seed for member in self.members]
        axes = natural_axes(subset_means(self.vae, self.samples, seeds, self.epoch))
        # Worker 0 decides: on unlike machines rounding could send the others to another of the equivalent rotations.
        share = float(self.group.size if self.group.rank == 0 else 0)
        rotation_RZZ = self.group.mean(torch.from_numpy(axes.rotation_RZZ).to(self.device) * share)
        self.psi4_R = self.group.mean(torch.from_numpy(axes.psi4_R).to(self.device)).cpu().numpy()
        self.vae.rotate(rotation_RZZ.to(next(self.vae.parameters())))
        state.restart_adam(self.vae, self.optimizer)
        return self.psi4_R

    def _check_finite(self, bad: tuple[int, int] | None, first: int) -> None:
        """Raise TrainingDiverged if there is a ``bad`` step, counted from ``first``, and member."""
        if bad is not None:
            step, index = bad
            member = self.members[index]
            raise TrainingDiverged(
                f"loss is not finite at step {first + step + 1} of epoch {self.epoch + 1}"
                f" of member {index} (beta {member.beta:g}, seed {member.seed}); a lower learning rate than"
                f" {self.learning_rate:g} may help"
            )
