"""Figures of a film report: scan, doses, difference and gamma in the plane, uncertainty, profiles, curves."""

from __future__ import annotations

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.patches import Rectangle
from scipy.ndimage import gaussian_filter, map_coordinates

from validation.film.calibration import Calibration
from validation.film.check import FilmCheck
from validation.film.compare import FilmComparison
from validation.film.scan import CHANNELS
from validation.report.content import Drawing
from validation.report.drawing import DASHED, GAMMA_COLOURS, PLUS_MINUS, WIDTH, figure_style, finish

FILM, PLANE, FAILED = "#12355b", "#c23b22", "#b00020"
INKS = ("#d55e00", "#009e73", "#0072b2")  # of the channels, apart for the colour-blind (Okabe and Ito)
MARKERS = "os^"
STYLES = ("-", (0, (5, 2)), (0, (1, 1.2)))  # of the channels, in black and white
LEVELS = (0.1, 0.3, 0.5, 0.7, 0.9, 0.95)  # isodoses, parts of the plane's largest dose
DIFFERENCES = (3.0, 5.0, 10.0, 20.0)  # ends of the scale of differences [%]
SMOOTH_MM = 1.0  # of the film's isodoses, sigma
MAX_PIXELS = 700  # of a map, a side
LEFT = 0.62  # of a map, for the labels of its axis [inch]


def draw_film(check: FilmCheck) -> list[Drawing]:
    """Every figure of the report, in its order."""
    with figure_style():
        return [
            draw_maps(check.comparison),
            draw_profiles(check.comparison),
            draw_uncertainty(check.comparison),
            draw_scan(check),
        ]


class _OnPlane:
    """Maps of a film resampled to the plane's axes, for pictures."""

    def __init__(self, comparison: FilmComparison) -> None:
        film, placement = comparison.film, comparison.registration.placement
        corners = np.array([placement.to_plane(x, y) for x in film.x_mm[[0, -1]] for y in film.y_mm[[0, -1]]])
        low, high = corners.min(axis=0), corners.max(axis=0)
        step = max(min(film.pitch_mm), float((high - low).max()) / MAX_PIXELS)
        self.u, self.v = (np.arange(a, b + step, step) for a, b in zip(low, high, strict=True))
        x, y = placement.to_film(self.u[None, :], self.v[:, None])
        self._place = [(y - film.y_mm[0]) / film.pitch_mm[0], (x - film.x_mm[0]) / film.pitch_mm[1]]
        self._plane = comparison.plane
        half = 0.5 * step
        ends = [self.v[0] - half, self.v[-1] + half]
        self._extent = (self.u[0] - half, self.u[-1] + half, *(ends if self._plane.upwards else ends[::-1]))

    def of(self, values: np.ndarray) -> np.ndarray:
        """Values of the nearest pixels; NaN beside the film."""
        return map_coordinates(values, self._place, order=0, mode="constant", cval=np.nan)

    def show(self, axis: Axes, values: np.ndarray, **options) -> AxesImage:
        """Draw a map of the film."""
        return self.draw(axis, self.of(values.astype(float)), **options)

    def draw(self, axis: Axes, values: np.ndarray, **options) -> AxesImage:
        """Draw a map that is on the plane's axes already."""
        shown = values if not self._plane.upwards else values[::-1]
        image = axis.imshow(
            shown if self._plane.upwards else values,
            extent=self._extent,
            origin="upper",
            interpolation="nearest",
            **options,
        )
        axis.set_facecolor("0.88")
        names = self._plane.names
        axis.set(xlabel=f"{names[0]} [mm]", ylabel=f"{names[1]} [mm]")
        axis.set_aspect("equal")
        return image


def draw_maps(comparison: FilmComparison) -> Drawing:
    """Film and plane with their isodoses, difference, gamma."""
    film, grid = comparison.film, _OnPlane(comparison)
    figure, axes = _panels(grid, 2, 2)
    top = comparison.normalisation
    there = comparison.plane.sample(grid.u[None, :], grid.v[:, None])
    shown = grid.show(axes[0], film.dose, vmin=0.0, vmax=1.05 * top, cmap="viridis")
    _bar(figure, shown, axes[0], "film [Gy]")
    smooth = _smooth(film.dose, film.known, [SMOOTH_MM / pitch for pitch in film.pitch_mm])
    levels = [part * top for part in LEVELS]
    inside = grid.of(film.known.astype(float)) > 0.5
    for values, ink, style in (
        (grid.of(smooth), "white", "solid"),
        (np.where(inside, there, np.nan), "black", "dashed"),
    ):
        if np.isfinite(values).any():
            axes[0].contour(grid.u, grid.v, values, levels, colors=ink, linewidths=0.7, linestyles=style)
    shown = grid.draw(axes[1], there, vmin=0.0, vmax=1.05 * top, cmap="viridis")
    _bar(figure, shown, axes[1], "plane [Gy]")
    difference = comparison.difference
    judged = film.known & (comparison.there >= 0.1 * top)
    spread = np.percentile(np.abs(difference[judged]), 99) if judged.any() else 3.0
    limit = next((end for end in DIFFERENCES if spread <= end), DIFFERENCES[-1])
    shown = grid.show(axes[2], difference, vmin=-limit, vmax=limit, cmap="RdBu_r")
    _bar(figure, shown, axes[2], "film - plane [% of the maximum]")
    shown = grid.show(axes[3], comparison.gamma(), vmin=0.0, vmax=2.0, cmap=GAMMA_COLOURS)
    _bar(figure, shown, axes[3], f"gamma, {comparison.gammas[0].criterion}")
    u, v = comparison.crossing_mm
    for axis, title in zip(axes, ("film", "plane", "difference", "gamma"), strict=True):
        axis.set_title(title, loc="left", fontsize=8)
        axis.axhline(v, color="0.2", lw=0.4, ls=(0, (1, 3)))
        axis.axvline(u, color="0.2", lw=0.4, ls=(0, (1, 3)))
        axis.set_xlim(grid.u[0], grid.u[-1])
    text = (
        f"Film and plane ({comparison.plane.place}) after registration. Left above: isodoses of the film "
        f"(white, smoothed by {SMOOTH_MM:g} mm) and of the plane (black, dashed) at "
        f"{', '.join(f'{100 * part:.0f}' for part in LEVELS)} % of {top:.2f} Gy, its maximum on the film. "
        "Grey: no dose. Gamma above 1 is dark. Dotted: the profiles."
    )
    return finish(figure, "Doses, difference and gamma", text)


def draw_profiles(comparison: FilmComparison) -> Drawing:
    """Both doses along two lines, and their difference."""
    figure = Figure(figsize=(WIDTH, 3.0))
    for k, profile in enumerate(comparison.profiles):
        left = 0.075 + 0.5 * k
        above = figure.add_axes((left, 0.42, 0.41, 0.50))
        below = figure.add_axes((left, 0.13, 0.41, 0.24), sharex=above)
        x = profile.position_mm
        above.fill_between(
            x, profile.film - profile.sigma, profile.film + profile.sigma, color=FILM, alpha=0.3, lw=0
        )
        above.plot(x, profile.film, color=FILM, lw=0.9, label=f"film {PLUS_MINUS} 1 sigma")
        above.plot(x, profile.plane, color=PLANE, lw=1.2, ls=DASHED, label="plane")
        percent = 100.0 / comparison.normalisation
        below.plot(x, percent * (profile.film - profile.plane), color=FILM, lw=0.7)
        below.axhline(0.0, color="0.4", lw=0.5)
        limit = comparison.gammas[0].criterion.dose_percent
        for level in (-limit, limit):
            below.axhline(level, color="0.4", lw=0.6, ls=(0, (4, 3)))
        below.set_ylim(-3.0 * limit, 3.0 * limit)
        known = np.flatnonzero(np.isfinite(profile.film))
        if known.size:
            above.set_xlim(x[known[0]], x[known[-1]])
        other = comparison.plane.names[1 - k]
        above.set_title(f"{other} = {comparison.crossing_mm[1 - k]:.1f} mm", loc="left", fontsize=8)
        above.set(ylabel="dose [Gy]" if k == 0 else "", ylim=(0.0, None))
        below.set(xlabel=f"{profile.axis} [mm]", ylabel="diff. [%]" if k == 0 else "")
        above.tick_params(labelbottom=False)
        for axis in (above, below):
            axis.grid(color="0.92", lw=0.5)
        if k == 0:
            above.legend(frameon=False, fontsize=6.8)
    text = (
        "Film (one pixel wide) and plane along the dotted lines of the maps; below, film less plane in "
        "percent of the maximum, the dose criterion dashed."
    )
    return finish(figure, "Profiles", text)


def draw_uncertainty(comparison: FilmComparison) -> Drawing:
    """Sigma of the dose, the disturbance, and what was left out."""
    film, grid = comparison.film, _OnPlane(comparison)
    figure, axes = _panels(grid, 1, 3)
    percent = 100.0 / comparison.normalisation
    sigma = percent * film.sigma
    top = float(np.nanpercentile(sigma, 99))
    shown = grid.show(axes[0], sigma, vmin=0.0, vmax=max(top, 0.5), cmap="cividis")
    _bar(figure, shown, axes[0], "sigma of the dose [% of the maximum]")
    disturbance = 100.0 * (np.where(film.known, film.disturbance, np.nan) - 1.0)
    limit = max(float(np.nanpercentile(np.abs(disturbance), 99)), 0.5)
    shown = grid.show(axes[1], disturbance, vmin=-limit, vmax=limit, cmap="PuOr")
    _bar(figure, shown, axes[1], "disturbance [%]")
    left_out = np.select(
        [~film.film, film.saturated, film.uncovered, film.stray], [np.nan, 3.0, 2.0, 1.0], default=0.0
    )
    colours = matplotlib.colors.ListedColormap(["#f2f2f2", "#e69f00", "#0072b2", "#4d1020"])
    shown = grid.show(axes[2], left_out, vmin=-0.5, vmax=3.5, cmap=colours)
    bar = _bar(figure, shown, axes[2], "")
    bar.set_ticks([0, 1, 2, 3], labels=["used", "mark", "beside", "dark"])
    for axis, title in zip(axes, ("uncertainty", "disturbance", "left out"), strict=True):
        axis.set_title(title, loc="left", fontsize=8)
    text = (
        "One sigma of the film's dose (pixel noise, fit of the curves, disagreement of the channels); the "
        "disturbance that the three channels share; and pixels without a dose: marks and dust, beside the "
        "calibrated lateral positions, darker than the calibration reaches."
    )
    return finish(figure, "Uncertainty", text)


def draw_scan(check: FilmCheck) -> Drawing:
    """The scan with the film, strips and marks."""
    scan, film = check.scan, check.comparison.film
    height, width = scan.size_mm
    stride = max(1, max(scan.shape) // MAX_PIXELS)
    inch = min(4.4 / width, 2.9 / height)
    figure = Figure(figsize=(WIDTH, height * inch + 0.55))
    tall = figure.get_figheight()
    axis = figure.add_axes(
        (0.5 * (WIDTH - width * inch) / WIDTH, 0.38 / tall, width * inch / WIDTH, height * inch / tall)
    )
    axis.imshow(
        np.clip(scan.response[::stride, ::stride], 0.0, 1.0),
        extent=(0.0, width, height, 0.0),
        interpolation="nearest",
    )
    left, top = film.corner_mm[0] + film.x_mm[0], film.corner_mm[1] + film.y_mm[0]
    axis.add_patch(
        Rectangle((left, top), np.ptp(film.x_mm), np.ptp(film.y_mm), fill=False, ec=FAILED, lw=1.0, ls="--")
    )
    axis.plot(*film.corner_mm, "+", color=FAILED, ms=7)
    for strip in check.options.strips:
        x0, y0, x1, y1 = (value * scan.file_pitch_mm[1 - k % 2] for k, value in enumerate(strip.box_px))
        axis.add_patch(Rectangle((x0, y0), x1 - x0, y1 - y0, fill=False, ec=PLANE, lw=0.9))
        axis.annotate(f"{strip.dose_gy:g} Gy", (x0, y0), fontsize=6.5, color=PLANE, va="bottom")
    for number, mark in enumerate(check.marks, start=1):
        x, y = scan.point_mm(mark.pixel)
        axis.plot(x, y, "o", mfc="none", mec="black", ms=7, mew=0.9)
        axis.annotate(f" {number}", (x, y), fontsize=7)
    axis.set(xlabel="x on the scan [mm]", ylabel="y on the scan [mm]")
    text = (
        f"The scan ({scan.name}). Dashed: the film and its middle, which registration puts into the plane."
        + " Boxes: strips of known dose." * bool(check.options.strips)
        + " Circles: marks." * bool(check.marks)
    )
    return finish(figure, "Scan", text)


def draw_curves(calibration: Calibration) -> Drawing:
    """The three curves with the films, and the residuals of dose."""
    with figure_style():
        figure = Figure(figsize=(WIDTH, 3.3))
        axis = figure.add_axes((0.075, 0.13, 0.40, 0.80))
        residual = figure.add_axes((0.57, 0.13, 0.41, 0.80))
        dose = np.array([film.dose_gy for film in calibration.films])
        fine = np.linspace(0.0, calibration.largest_gy, 300)
        for k, (name, curve) in enumerate(zip(CHANNELS, calibration.curves, strict=True)):
            found = np.array([film.response[k] for film in calibration.films])
            axis.plot(fine, curve.response(fine), color=INKS[k], ls=STYLES[k], lw=1.0)
            axis.plot(dose, found, MARKERS[k], color=INKS[k], ms=4, mfc="white", label=name)
            sigma = np.array([film.sigma[k] for film in calibration.films]) / np.abs(curve.slope(dose))
            residual.errorbar(
                dose + 0.006 * (k - 1) * dose.max(), calibration.residuals(k), sigma, fmt=MARKERS[k],
                color=INKS[k], ms=4, mfc="white", lw=0.7, label=name,
            )  # fmt: skip
        for axes, label in ((axis, "response (of full scale)"), (residual, "curve - given dose [Gy]")):
            axes.set(xlabel="dose [Gy]", ylabel=label)
            axes.grid(color="0.92", lw=0.5)
        residual.axhline(0.0, color="0.4", lw=0.5)
        fine = fine[1:]
        for part in (-0.01, 0.01):
            residual.plot(fine, part * fine, color="0.5", lw=0.6, ls=(0, (4, 3)))
        axis.legend(frameon=False)
        text = (
            "Left: mean responses of the films of known dose and the curves X = a + b / (1 + (D/c)^m)^n. "
            "Right: dose by the curve less the given dose, with one sigma by the film's unevenness; dashed: "
            f"{PLUS_MINUS}1 %."
        )
        return finish(figure, "Sensitometric curves", text)


def draw_lateral(calibration: Calibration) -> Drawing:
    """Correction of the lateral response at the films' responses."""
    with figure_style():
        figure = Figure(figsize=(WIDTH, 2.4))
        lateral = calibration.lateral
        position = np.linspace(lateral.position_mm[0], lateral.position_mm[-1], 200)
        shades = np.linspace(0.75, 0.0, len(calibration.films))
        for k, name in enumerate(CHANNELS):
            axis = figure.add_axes((0.075 + 0.32 * k, 0.18, 0.26, 0.70))
            for film, shade in zip(calibration.films, shades, strict=True):
                corrected = lateral.correct(np.broadcast_to(film.response, (position.size, 3)), position)
                change = 100.0 * (corrected[:, k] / film.response[k] - 1.0)
                axis.plot(position, change, color=str(shade), lw=0.9, label=f"{film.dose_gy:.3g} Gy")
            axis.set_title(name, loc="left", fontsize=8)
            axis.set(
                xlabel="lateral position [mm]", ylabel="correction [% of the response]" if k == 0 else ""
            )
            axis.grid(color="0.92", lw=0.5)
            if k == 2:
                axis.legend(frameon=False, fontsize=5.5, ncols=2)
        text = (
            "Change of the response by the correction of the scanner's lateral response, at the responses of "
            "the calibration films (lighter: less dose)."
        )
        return finish(figure, "Lateral response", text)


def _panels(grid: _OnPlane, rows: int, columns: int) -> tuple[Figure, list[Axes]]:
    """Axes in rows, each of the film's shape with space for a colour bar."""
    wide, high = np.ptp(grid.u), np.ptp(grid.v)
    cell = WIDTH / columns
    width = cell - LEFT - 0.2
    inch = min(width / wide, 3.1 / high)
    line = high * inch + 1.02
    figure = Figure(figsize=(WIDTH, rows * line))
    axes = []
    for k in range(rows * columns):
        row, column = divmod(k, columns)
        left = column * cell + LEFT + 0.5 * (width - wide * inch)
        bottom = (rows - 1 - row) * line + 0.78
        axes.append(
            figure.add_axes(
                (left / WIDTH, bottom / (rows * line), wide * inch / WIDTH, high * inch / (rows * line))
            )
        )
    return figure, axes


def _bar(figure: Figure, image: AxesImage, axis: Axes, label: str):
    """A colour bar beneath a panel."""
    place, tall = axis.get_position(), figure.get_figheight()
    bar_axes = figure.add_axes((place.x0, place.y0 - 0.50 / tall, place.width, 0.09 / tall))
    bar = figure.colorbar(image, cax=bar_axes, orientation="horizontal")
    bar_axes.tick_params(length=2, pad=1, labelsize=6.3)
    bar_axes.set_xlabel(label, labelpad=1, fontsize=6.8)
    return bar


def _smooth(values: np.ndarray, known: np.ndarray, sigma: list[float]) -> np.ndarray:
    weight = gaussian_filter(known.astype(float), sigma)
    mean = gaussian_filter(np.where(known, values, 0.0), sigma) / np.maximum(weight, 1e-6)
    return np.where(known, mean, np.nan)
