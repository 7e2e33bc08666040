"""What a trained decoder says of its phase: energies of what it draws, its fields, its local temperatures."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from analysis.decoder import mean_fields, reading, thermodynamics
from analysis.errors import bootstrap, index_chains
from workflow.analyze.bonds import bond_sums
from workflow.analyze.held_out import Samples, subset
from workflow.dataset import shards
from workflow.dataset.inputs import is_staggered, signs
from workflow.plan.tasks import ModelPlan
from workflow.storage.run_directory import RunDirectory
from workflow.study.blocks import AnalyzeBlock

if TYPE_CHECKING:
    from models.inference import Model


class Decoder:
    """A trained decoder and the held-out samples it is compared with.

    Args:
        network: in evaluation mode.
        model: whose results these are.
        samples: held-out samples of the shards that it was trained on.
        mean_SZ, std_SZ: their posteriors.
        settings: number of resamples, and of samples drawn from the prior.
        rng: of bootstrap, posteriors and drawn configurations.
    """

    def __init__(
        self,
        network: Model,
        model: ModelPlan,
        samples: Samples,
        mean_SZ: NDArray[np.float64],
        std_SZ: NDArray[np.float64],
        settings: AnalyzeBlock,
        rng: np.random.Generator,
    ) -> None:
        self._network, self._system, self._samples = network, model.system, samples
        # The decoder knows the configurations as it was given them; energies and order parameters are of the stored.
        self._sign_HW = signs(model.seen.shape[1:]) if is_staggered(model.given_as) else np.int8(1)
        self._mean_SZ, self._std_SZ = mean_SZ, std_SZ
        self._settings, self._rng = settings, rng
        self._point_S = samples.labelled.shard[samples.rows]
        self._bonds = bond_sums(self._system, samples.labelled.points)

    def energies(self, run: RunDirectory) -> dict[str, Any] | None:
        """Energy and specific heat at every parameter point, of the data and of drawn configurations.

        Latents come from the posteriors of the samples, and, for a model of a single point, also from the prior: a
        prior is the mixture of all points. None for systems without a formula for their energy, and for a Gaussian
        decoder, which draws real numbers instead of states of a site.
        """
        if self._bonds is None or self._network.config.likelihood == "gaussian":
            return None
        points = np.unique(self._point_S)
        content: dict[str, Any] = {"points": [self._energy_at(run, int(point)) for point in points]}
        if len(points) == 1:
            z = self._rng.standard_normal((self._settings.generated, self._mean_SZ.shape[1]))
            # Drawn independently: each is a chain of its own.
            chains = index_chains(np.arange(len(z)), np.zeros(len(z), dtype=int))
            content["prior"] = self._drawn(int(points[0]), z, chains)
        return content

    def _energy_at(self, run: RunDirectory, point: int) -> dict[str, Any]:
        of_point = self._point_S == point
        some = subset(self._samples, of_point)
        labelled = some.labelled
        path = run.shard(self._system, int(labelled.points[point]["size"]), labelled.task_ids[point])
        energy_A = shards.read(path, columns=("energy",)).columns["energy"]
        first = labelled.first(point)
        z = self._posterior_draws(of_point)
        parameters = labelled.points[point]
        data = thermodynamics.thermodynamics(
            energy_A[some.rows - first],
            self._network.config.sites,
            float(parameters["temperature"]),
            some.chains,
            self._rng,
            self._settings.resamples,
        )
        return {"point": parameters, "data": data, "posterior": self._drawn(point, z, some.chains)}

    def _posterior_draws(self, rows: NDArray[np.bool_] | slice) -> NDArray[np.float64]:
        """A latent vector from the posterior of each of these samples."""
        std_SZ = self._std_SZ[rows]
        return self._mean_SZ[rows] + std_SZ * self._rng.standard_normal(std_SZ.shape)

    def _drawn(self, point: int, z: NDArray[np.float64], chains: Any) -> thermodynamics.Thermodynamics:
        """Of one configuration per latent vector."""
        from models import inference

        assert self._bonds is not None
        parameters, bonds = self._samples.labelled.points[point], self._bonds[point]
        seed = int(self._rng.integers(2**62))
        energy_S = np.concatenate(
            [
                -bonds.coupling * bonds.per_site(inference.sample(self._network, part, seed + i) * self._sign_HW)
                for i, part in enumerate(np.array_split(z, max(1, len(z) // 1000)))
            ]
        )
        return thermodynamics.thermodynamics(
            energy_S,
            self._network.config.sites,
            float(parameters["temperature"]),
            chains,
            self._rng,
            self._settings.resamples,
        )

    def local_temperatures(self) -> list[dict[str, Any]] | None:
        """Mean beta_k, |h_k| and |beta_k h_k| at every parameter point; None without that branch.

        Only the product is fixed by the data. The gauge: beta_k is a sigmoid, between 0 and 1.
        """
        from models import inference

        if self._network.config.model != "beta2-vae":
            return None
        beta, field, product = inference.local_temperatures(self._network, self._mean_SZ)
        parts = (beta, np.abs(field), np.abs(product))
        values_SV = np.stack([part.reshape(len(part), -1).mean(axis=1) for part in parts], axis=1)
        content = []
        for point in np.unique(self._point_S):
            some = subset(self._samples, self._point_S == point)
            of_point = values_SV[self._point_S == point].astype(float)
            found = bootstrap(lambda mean: mean, of_point, some.chains, self._rng, self._settings.resamples)
            names = ("beta", "field", "product")
            parameters = some.labelled.points[int(point)]
            content.append({"point": parameters, **dict(zip(names, found, strict=True))})
        return content

    def readings(self, pairs: list[tuple[int, str]]) -> dict[str, reading.Reading] | None:
        """The Bernoulli decoder along the latent of each order parameter (latent, name): m(z) and h(z) against
        E[sigma | z] and Weiss's field; None for other likelihoods, and without a temperature or a coupling.

        Latents are drawn from the posteriors: the best decoder gives the mean of the spins that are encoded at z, and
        a posterior as wide as beta makes it spreads every sample over many z.
        """
        from models import inference

        known = [(unit, name) for unit, name in pairs if name in mean_fields.PATTERNS]
        points = self._samples.labelled.points
        has_ratio = all({"temperature", "coupling"} <= set(point) for point in points)
        if self._network.config.likelihood != "bernoulli" or not known or not has_ratio:
            return None
        z_SZ = self._posterior_draws(slice(None))
        mean = 2 * inference.decode(self._network, z_SZ).astype(float) - 1
        field = inference.fields(self._network, z_SZ).astype(float)
        ratio = np.array([abs(float(p["coupling"])) / float(p["temperature"]) for p in points])[self._point_S]
        names = [component for order in self._samples.orders for component in order.components]
        found = {}
        for unit, name in known:
            pattern = mean_fields.PATTERNS[name](mean.shape[1:]) * self._sign_HW
            found[name] = reading.read(
                z_SZ[:, unit],
                self._samples.order_SK[:, names.index(name)],
                (mean * pattern).mean(axis=(1, 2, 3)),
                (field * pattern).mean(axis=(1, 2, 3)),
                ratio,
                self._samples.chains,
                self._rng,
                self._settings.resamples,
            )
        return found
