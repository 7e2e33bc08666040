"""Figures: the right number of axes, SVG that parses, adapts to the page and repeats byte for byte."""

from __future__ import annotations

import re
from collections.abc import Callable
from xml.etree import ElementTree

import numpy as np
import pytest
from matplotlib import rcParams
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure

from analysis.errors import Estimate
from analysis.figures import curves
from analysis.figures import decoder as decoder_figures
from analysis.figures import latent_plane as figures
from analysis.figures import latent_spaces as latent_figures
from analysis.figures import physics as physics_figures
from analysis.figures import states as state_figures
from analysis.figures import sweep as sweep_figures
from analysis.figures import training as training_figures
from analysis.figures.style import DIVERGING, INK, NEUTRAL, SERIES, phase_mark, to_svg
from analysis.latent_space.mmd import Neighbours
from analysis.latent_space.similarity import cosine_matrix
from analysis.orders import signs
from analysis.phases import phase_names
from analysis.scans import Record, Scan

ORDERS = ("magnetization", "staggered_magnetization")
EPOCHS = np.arange(6.0)


def number(value: float) -> Estimate:
    return Estimate(value, 0.02, 100, "test")


def learning() -> Figure:
    curve = training_figures.LearningCurve
    runs = [curve(f"seed {s}", EPOCHS, 100 + np.exp(-EPOCHS), np.ones((6, 2)) * (s + 1)) for s in range(8)]
    return training_figures.learning_curves(runs, kick_epochs=(3, 5))


def collapse() -> Figure:
    points = [
        curves.CollapsePoint(ratio, (number(1 - ratio), number(0.9 - ratio)), (number(0.99), number(0.98)))
        for ratio in (0.01, 0.2, 0.5)
    ]
    return curves.collapse(points, ("$m$", "$m_s$"))


def sizes() -> Figure:
    records = [
        Record(quantity, "ising", size, 17.0, seed, number(1.0))
        for quantity in ("own", "cross", "angle", "accuracy")
        for size in (8, 16, 32)
        for seed in (0, 1)
    ]
    labels = {"own": "own", "cross": "cross", "angle": "angle / deg", "accuracy": "accuracy"}
    return curves.against_size(records, labels, {"own": [0.97]})


def neighbours() -> Figure:
    result = Neighbours((1.5, 2.5), (number(0.1), Estimate(0.2, float("nan"), 9, "one chain")))
    return curves.neighbour_distances(
        [curves.NeighbourCurve(size, side, result) for size in (8, 16) for side in ("J > 0", "J < 0")]
    )


def thermal() -> Figure:
    scan = Scan((1.0, 2.0), ((number(0.9), number(0.1)), (number(0.5), number(0.2))))
    return curves.thermal_scan({"J > 0": (scan, scan)}, ("m", "m_s"), ("$z_1$", "$z_2$"))


def squares() -> Figure:
    scan = Scan((1.0, 2.0), ((number(0.9),), (number(0.5),)))
    return curves.readings({"T = 1": (scan, [scan, scan]), "T = 2": (None, [scan])}, "S", "U")


def scatter() -> Figure:
    rng = np.random.default_rng(0)
    panel = figures.LatentPanel("β = 1", rng.normal(size=(50, 2)), np.arange(50) % 5, rng.uniform(-1, 1, (50, 2)))
    return figures.latent_scatter([panel, panel], phase_names(signs(ORDERS)), ORDERS)


def generated() -> Figure:
    field_NHW = np.random.default_rng(0).uniform(size=(16, 8, 8))
    return figures.generated_fields([figures.FieldPanel(f"β = {beta}", field_NHW) for beta in (1, 10, 100)])


def local() -> Figure:
    part = np.random.default_rng(0).normal(size=(16, 8, 8))
    return figures.local_fields([figures.LocalRow(name, np.sign(part), 4 * part, part**2) for name in ("FM", "PM")])


def plane() -> Figure:
    grid = np.linspace(-2.5, 2.5, 4)
    return figures.latent_plane(np.random.default_rng(0).uniform(size=(4, 4, 8, 8)), grid, grid)


def projections() -> Figure:
    rng = np.random.default_rng(0)
    panel = figures.LatentPanel("β = 70", rng.normal(size=(40, 3)), np.arange(40) % 4, np.empty((40, 0)))
    return latent_figures.latent_projections([panel, panel], ("a 0", "a 1", "a 2", "PM"))


def cosines() -> Figure:
    label_S = np.arange(40) % 3
    matrix = cosine_matrix(np.random.default_rng(0).normal(size=(40, 4)), label_S, 10, np.random.default_rng(1))
    panel = latent_figures.SimilarityPanel("β = 71", matrix, number(2.0))
    return latent_figures.cosine_matrices([panel, panel._replace(divergence=number(0.0))], ("0", "1", "2"))


def generated_states() -> Figure:
    probability = np.random.default_rng(0).dirichlet(np.ones(3), (16, 8, 8)).transpose(0, 3, 1, 2)
    tiles = state_figures.Tiles("β = 70", state_figures.state_colours(probability))
    return state_figures.generated_tiles([tiles, tiles], state_figures.Key("states", ("0", "1", "2")))


def generated_vectors() -> Figure:
    vectors = np.random.default_rng(0).normal(size=(16, 2, 8, 8))
    tiles = state_figures.Tiles("XY", state_figures.vector_colours(vectors))
    return state_figures.generated_tiles([tiles], state_figures.Key("angles"))


def plane_of_values() -> Figure:
    grid = np.linspace(-2.5, 2.5, 4)
    colours = state_figures.value_colours(np.random.default_rng(0).normal(size=(4, 4, 8, 8)), -2, 2)
    return state_figures.latent_plane_tiles(colours, grid, grid, state_figures.Key("values", low=-2, high=2))


def energies() -> Figure:
    points = (number(0.2), number(1.0))
    thermal_curve = physics_figures.ThermalCurve("thermal", (1.5, 3.0), points, points)
    return physics_figures.energy_and_heat([thermal_curve], physics_figures.ExactCurve(EPOCHS, EPOCHS, EPOCHS))


def trade_off() -> Figure:
    series = physics_figures.BetaSeries("$m$", (10.0, 1.0), (number(0.1), number(0.9)))
    panels = {"|corr|": [series, series._replace(label="$m_s$")], "energy error": [series]}
    return physics_figures.against_beta(panels, bounds={"energy error": [0.06]})


def free_energy() -> Figure:
    curve = training_figures.FreeEnergyCurve("seed 0", EPOCHS, 100 + np.exp(-EPOCHS), np.exp(-2 * EPOCHS))
    return training_figures.free_energies([curve, curve._replace(label="seed 1")], (3,))


def sweep() -> Figure:
    values = {"KL / nats": (1.0, 0.9, 0.0), "active units": (2.0, 2.0, 0.0)}
    curve = sweep_figures.SweepCurve(8, (0.2, 0.2, 1.1), values)
    return sweep_figures.sweep([curve, curve._replace(size=16)], {"KL / nats": 0.02})


def readings() -> Figure:
    series = tuple((number(-0.5), number(0.5)) for _ in range(5))
    return decoder_figures.readings([decoder_figures.ReadingPanel("$z_1$", "$m$", (-1.0, 1.0), *series)] * 2)


def collapse_of_many() -> Figure:
    """Sixteen latents, and nothing known of the data."""
    points = [curves.CollapsePoint(ratio, (number(1 - ratio),) * 16, ()) for ratio in (0.2, 0.5)]
    return curves.collapse(points)


DRAWINGS: dict[Callable[[], Figure], int] = {
    learning: 2,
    collapse: 2,
    sizes: 6,
    neighbours: 2,
    squares: 2,
    thermal: 2,
    scatter: 6 + 2,
    generated: 3 + 1,
    local: 2 * 3 + 2,
    plane: 1 + 1,
    projections: 6,
    cosines: 2 + 1,
    generated_states: 2,
    generated_vectors: 1 + 1,
    plane_of_values: 1 + 1,
    energies: 2,
    trade_off: 2,
    free_energy: 3,
    sweep: 2,
    readings: 4,
    collapse_of_many: 1,
}
"""Each drawing with its number of axes, colour bars included."""


@pytest.mark.parametrize("draw", DRAWINGS)
def test_svg_parses_adapts_and_repeats(draw: Callable[[], Figure]) -> None:
    before = dict(rcParams)
    figure = draw()
    assert len(figure.axes) == DRAWINGS[draw]
    svg = to_svg(figure)
    assert dict(rcParams) == before
    root = ElementTree.fromstring(svg)
    assert root.tag.endswith("svg")
    assert svg.startswith("<svg ")
    assert "currentColor" in svg
    assert INK not in svg
    assert "<text" in svg
    assert svg == to_svg(figure) == to_svg(draw())


def test_two_figures_on_one_page_share_no_identifier_and_no_style() -> None:
    first, second = to_svg(learning()), to_svg(collapse())
    names = [set(re.findall(r'\bid="([^"]+)"', svg)) for svg in (first, second)]
    assert not names[0] & names[1]
    for svg, own in zip((first, second), names, strict=True):
        assert set(re.findall(r'(?:href="#|url\(#)([^")]+)', svg)) <= own
        assert re.findall(r"<style[^>]*>(\S+) \*{", svg) == ["#" + re.findall(r'<svg id="([^"]+)', svg)[0]]


def luminance(colour: object) -> float:
    """Relative luminance of an sRGB colour (WCAG 2)."""
    rgb = np.array(to_rgb(colour))  # type: ignore[arg-type]
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    return float(linear @ [0.2126, 0.7152, 0.0722])


def test_colours_show_on_white_and_on_dark() -> None:
    """Contrast of at least 2 with white and with a dark page; the diverging map also rises in lightness."""
    marks = [phase_mark(phase, 7).colour for phase in range(7)]
    shades = [DIVERGING(step) for step in np.linspace(0, 1, 21)]
    for colour in [*SERIES, NEUTRAL, *marks, *shades]:
        assert 1.05 / (luminance(colour) + 0.05) > 2, colour
        assert (luminance(colour) + 0.05) / (luminance("#121212") + 0.05) > 2, colour
    assert (np.diff([luminance(shade) for shade in shades]) > 0).all()


def test_phases_differ_in_colour_and_in_marker() -> None:
    marks = [phase_mark(phase, 5) for phase in range(5)]
    assert len({mark.colour for mark in marks}) == len({mark.marker for mark in marks}) == 5


def test_twelve_ordered_phases_have_twelve_markers() -> None:
    marks = [phase_mark(phase, 13) for phase in range(13)]
    assert len({mark.marker for mark in marks}) == len(set(marks)) == 13
    assert phase_mark(9, 10, has_disorder=False).colour != NEUTRAL == phase_mark(9, 10).colour


def test_colours_of_states_say_state_and_certainty() -> None:
    certain = np.eye(3)[:, :, None, None]
    pure = state_figures.state_colours(certain)[:, 0, 0]
    np.testing.assert_allclose(pure, [to_rgb(colour) for colour in state_figures.STATES[:3]])
    assert len({round(luminance(colour), 2) for colour in pure}) == 3
    even = state_figures.state_colours(np.full((3, 1, 1), 1 / 3))
    np.testing.assert_allclose(even[0, 0], state_figures.GREY, atol=1e-12)
    with pytest.raises(ValueError, match="sum to 1"):
        state_figures.state_colours(np.ones((3, 1, 1)))
    with pytest.raises(ValueError, match="states to colour"):
        state_figures.state_colours(np.full((20, 1, 1), 0.05))


def test_colours_of_vectors_are_cyclic_and_fade() -> None:
    angle = np.array([-np.pi + 1e-9, np.pi - 1e-9, 0.0])
    vectors = np.stack([np.cos(angle), np.sin(angle)])[:, :, None]
    first, last, opposite = state_figures.vector_colours(vectors)[:, 0]
    np.testing.assert_allclose(first, last, atol=0.02)
    assert np.abs(first - opposite).max() > 0.3
    np.testing.assert_allclose(state_figures.vector_colours(0 * vectors)[0, 0], state_figures.GREY)


def test_images_are_black_on_white_and_fields_diverge() -> None:
    assert state_figures.value_colours(np.array([0.0, 1.0]), 0, 1).tolist() == [[1, 1, 1], [0, 0, 0]]
    middle = state_figures.value_colours(np.array([0.0]), -2, 2)[0]
    np.testing.assert_allclose(middle, DIVERGING(0.5)[:3], atol=0.01)


def test_text_is_legible_in_print() -> None:
    sizes_pt = [float(size) for size in re.findall(r"font-size: ([\d.]+)px", to_svg(scatter()))]
    # Subscripts of mathematics are set at 70 %.
    assert min(sizes_pt) >= 0.7 * 8


def test_nothing_to_draw_is_refused() -> None:
    with pytest.raises(ValueError, match="none"):
        training_figures.learning_curves([])
    with pytest.raises(ValueError, match="none"):
        training_figures.free_energies([])
    with pytest.raises(ValueError, match="none"):
        decoder_figures.readings([])
    with pytest.raises(ValueError, match="of every model"):
        sweep_figures.sweep([sweep_figures.SweepCurve(8, (0.2, 0.3), {"KL": (1.0,)})])
    with pytest.raises(ValueError, match="none"):
        curves.against_size([], {"own": "own"}, {})
    with pytest.raises(ValueError, match="numbers per point"):
        curves.collapse([curves.CollapsePoint(1.0, (number(1),), (number(1),))], ("a", "b"))
    with pytest.raises(ValueError, match="two latents"):
        figures.latent_scatter([], phase_names(signs(ORDERS)), ORDERS)
    with pytest.raises(ValueError, match="sixteen"):
        figures.generated_fields([figures.FieldPanel("", np.zeros((3, 4, 4)))])
    with pytest.raises(ValueError, match="sixteen"):
        figures.local_fields([figures.LocalRow("", *[np.zeros((3, 4, 4))] * 3)])
    with pytest.raises(ValueError, match="one number of latents"):
        latent_figures.latent_projections([], ("a",))
    with pytest.raises(ValueError, match="none"):
        latent_figures.cosine_matrices([], ("a",))
    with pytest.raises(ValueError, match="sixteen"):
        state_figures.generated_tiles([], state_figures.Key("angles"))
    with pytest.raises(ValueError, match="one energy"):
        physics_figures.energy_and_heat([])
    with pytest.raises(ValueError, match="panels with series"):
        physics_figures.against_beta({"|corr|": []})
    with pytest.raises(ValueError, match="grid"):
        figures.latent_plane(np.zeros((2, 3, 4, 4)), np.arange(2.0), np.arange(2.0))
