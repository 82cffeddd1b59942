"""Charts: lengths, places and directions against values worked out by hand."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from typing import Any

import pytest
from report_run import result_row, results

from bimedix2.evaluate.report.charts import Bar, Series, bars, differences, radar
from bimedix2.evaluate.report.figures import published_charts, run_charts
from bimedix2.evaluate.report.published import published

NS = "{http://www.w3.org/2000/svg}"


def parse(svg: str) -> ET.Element:
    return ET.fromstring(svg)


def number(element: ET.Element, name: str) -> float:
    return float(element.attrib[name])


def points(element: ET.Element) -> list[tuple[float, float]]:
    return [(float(x), float(y)) for x, y in (pair.split(",") for pair in element.attrib["points"].split())]


def texts(root: ET.Element) -> list[str]:
    return [element.text or "" for element in root.iter(f"{NS}text")]


# --- bars ------------------------------------------------------------------------------------------------------------


def test_bars_are_as_long_as_their_values() -> None:
    root = parse(bars([Bar("a", 0.5), Bar("b", 0.25), Bar("c", 0.0), Bar("d", -0.3)], 1.0))
    lengths = [number(rect, "width") for rect in root.iter(f"{NS}rect")]
    assert lengths[0] == pytest.approx(2 * lengths[1], abs=0.1)
    assert lengths[2:] == [0.0, 0.0]
    assert len({rect.attrib["x"] for rect in root.iter(f"{NS}rect")}) == 1
    assert [text for text in texts(root) if text[-1].isdigit()] == ["0.500", "0.250", "0.000", "-0.300"]


def test_a_bar_of_the_top_value_leaves_room_for_its_number() -> None:
    root = parse(bars([Bar("a", 1.0)], 1.0, width=460))
    (rect,) = root.iter(f"{NS}rect")
    assert number(rect, "x") + number(rect, "width") == pytest.approx(460 - 64, abs=0.1)


def test_whiskers_span_the_interval() -> None:
    root = parse(bars([Bar("a", 0.5, 0.25, 0.75), Bar("b", 1.0)], 1.0))
    first, second = root.iter(f"{NS}rect")
    left, whole = number(first, "x"), number(second, "width")
    (whisker,) = root.iter(f"{NS}path")
    low, high = (float(value) for value in re.findall(r"^M([\d.]+) .*?H([\d.]+)", whisker.attrib["d"])[0])
    assert low == pytest.approx(left + whole / 4, abs=0.1)
    assert high == pytest.approx(left + 3 * whole / 4, abs=0.1)


def test_only_our_bars_stand_out_and_all_are_told() -> None:
    root = parse(bars([Bar("ours", 0.5, 0.4, 0.6, own=True), Bar("theirs", 0.25)], 1.0))
    assert [rect.attrib["class"] for rect in root.iter(f"{NS}rect")] == ["bar own", "bar"]
    assert root.attrib["role"] == "img"
    assert root.attrib["aria-label"] == "ours 0.500 [0.400, 0.600]; theirs 0.250"


def test_arabic_names_have_their_own_direction_and_end_at_the_same_place() -> None:
    root = parse(bars([Bar("Model", 0.5), Bar("النموذج", 0.5)], 1.0))
    latin, arabic = (text for text in root.iter(f"{NS}text") if text.attrib["class"] == "axis")
    assert root.attrib["direction"] == "ltr"
    assert latin.attrib["x"] == arabic.attrib["x"]
    assert (latin.attrib["direction"], latin.attrib["text-anchor"]) == ("ltr", "end")
    # In a right-to-left text the right side is its start.
    assert (arabic.attrib["direction"], arabic.attrib["text-anchor"]) == ("rtl", "start")


def test_hostile_and_long_names_stay_text() -> None:
    name = '</svg><script>x</script>"&\u202e' + "long " * 40
    root = parse(bars([Bar(name, 0.5)], 1.0))
    assert not list(root.iter(f"{NS}script"))
    shown = texts(root)[0]
    assert len(shown) <= 34
    assert shown.endswith("…")
    assert "\u202e" not in ET.tostring(root, encoding="unicode")
    (rect,) = root.iter(f"{NS}rect")
    assert number(rect, "width") > 0


# --- differences -----------------------------------------------------------------------------------------------------


def test_differences_lie_on_their_side_of_the_line() -> None:
    root = parse(differences([Bar("worse", -0.2, -0.4, 0.1), Bar("better", 0.1, None, None)]))
    (line,) = (element for element in root.iter(f"{NS}line") if element.attrib["class"] == "zero")
    zero = number(line, "x1")
    left, right = (number(dot, "cx") for dot in root.iter(f"{NS}circle"))
    assert zero - left == pytest.approx(2 * (right - zero), abs=0.1)
    (whisker,) = root.iter(f"{NS}path")
    low, high = (float(value) for value in re.findall(r"^M([\d.]+) .*?H([\d.]+)", whisker.attrib["d"])[0])
    assert zero - low == pytest.approx(4 * (high - zero), abs=0.3)
    assert [text for text in texts(root) if re.fullmatch(r"[-+]?[\d.]+", text)] == [
        *("-0.40", "0", "+0.40"),
        *("-0.200", "+0.100"),
    ]


def test_no_difference_at_all_can_be_drawn() -> None:
    root = parse(differences([Bar("same", 0.0, 0.0, 0.0)]))
    (line,) = root.iter(f"{NS}line")
    (dot,) = root.iter(f"{NS}circle")
    assert number(dot, "cx") == number(line, "x1")


# --- radar -----------------------------------------------------------------------------------------------------------


def test_radar_points_are_where_they_are_by_hand() -> None:
    # 340 wide: the middle is 170, the outermost ring has radius 130. Four axes: up, right, down, left.
    root = parse(radar(["a", "b", "c", "d"], [Series("one", (1.0, 0.5, 0.0, 2.0))], 1.0, size=340))
    (line,) = (element for element in root.iter(f"{NS}polygon") if element.attrib["class"] == "line")
    # Values above the top stop at the ring.
    assert points(line) == [(170.0, 40.0), (235.0, 170.0), (170.0, 170.0), (40.0, 170.0)]
    dots = [(number(dot, "cx"), number(dot, "cy")) for dot in root.iter(f"{NS}circle")]
    assert dots == points(line)


def test_rings_carry_the_scale() -> None:
    root = parse(radar(["a", "b", "c"], [Series("one", (10, 20, 30))], 80.0))
    assert [text.text for text in root.iter(f"{NS}text") if text.attrib["class"] == "tick"] == ["20", "40", "60", "80"]
    rings = [element for element in root.iter(f"{NS}polygon") if element.attrib["class"] == "ring"]
    assert [round(170 - points(ring)[0][1], 1) for ring in rings] == [32.5, 65.0, 97.5, 130.0]


def test_a_missing_value_is_a_gap_and_not_a_zero() -> None:
    root = parse(radar(["a", "b", "c", "d"], [Series("one", (1.0, None, 1.0, 1.0))], 1.0, size=340))
    (line,) = (element for element in root.iter(f"{NS}path"))
    assert line.attrib["d"] == "M170.0,300.0L40.0,170.0M40.0,170.0L170.0,40.0"
    assert len(list(root.iter(f"{NS}circle"))) == 3
    assert "170.0,170.0" not in line.attrib["d"]
    assert root.attrib["aria-label"] == "one: a 1, c 1, d 1"


def test_lines_differ_by_more_than_colour_and_ours_stands_out() -> None:
    series = [Series("a", (1, 1, 1)), Series("b", (1, 1, 1)), Series("ours", (1, 1, 1), own=True)]
    root = parse(radar(["x", "y", "z"], series, 1.0))
    assert [group.attrib["class"] for group in root.iter(f"{NS}g")] == ["s0", "s1 dashed", "own"]


def test_long_axis_names_fit_into_the_picture() -> None:
    names = ["MedArabiQ fill in the blank", "طريقة التصوير في الأشكال", "professional medicine", "x"]
    root = parse(radar(names, [Series("a", (1, 1, 1, 1))], 1.0))
    left, _, width, _ = (float(value) for value in root.attrib["viewBox"].split())
    for text in root.iter(f"{NS}text"):
        if text.attrib["class"] != "axis":
            continue
        room = 6.5 * len(text.text or "")
        start = (text.attrib["text-anchor"] == "start") == (text.attrib["direction"] == "ltr")
        x = number(text, "x")
        if text.attrib["text-anchor"] == "middle":
            assert left <= x - room / 2
            assert x + room / 2 <= left + width
        else:
            assert left <= (x if start else x - room)
            assert (x + room if start else x) <= left + width


def test_a_radar_needs_three_axes() -> None:
    with pytest.raises(ValueError, match="three axes"):
        radar(["a", "b"], [Series("one", (1.0, 1.0))], 1.0)


# --- which charts there are ------------------------------------------------------------------------------------------


def named(chart: dict[str, Any], language: str = "en") -> dict[str, float]:
    """Name -> value of a bar chart, from its picture."""
    found = texts(parse(chart["svg"][language]))
    return dict(zip(found[::2], map(float, found[1::2]), strict=True))


def test_figure_1_has_every_public_model_in_both_languages_and_ours_where_there_is_one() -> None:
    english, arabic = published_charts([results()])
    assert [line["name"]["en"] for line in english["legend"]] == [r.model for r in published().table("3").rows]
    assert [line["name"]["en"] for line in arabic["legend"]] == [r.model for r in published().table("4").rows]
    assert "this run has none" in english["note"]["en"]
    group = {"domain=mri": {"metrics": {"relative_score": {"value": 0.8}}}}
    judged = result_row("bimed_mbench", "original", {"relative_score": 0.4}, by_group=group, request="generate")
    english, arabic = published_charts([results(judged)])
    assert [line["style"] for line in english["legend"]][-1] == "own"
    assert "note" not in english
    assert "note" in arabic
    (own,) = (group for group in parse(english["svg"]["ar"]).iter(f"{NS}g") if group.attrib["class"] == "own")
    # MRI is the fourth of seven axes; 80 of 80 lies on the outermost ring, 130 from the middle.
    (dot,) = own.iter(f"{NS}circle")
    assert (number(dot, "cx") - 170) ** 2 + (number(dot, "cy") - 170) ** 2 == pytest.approx(130**2, rel=1e-3)
    assert number(dot, "cy") > 170


def test_figure_3_compares_everybody_on_the_columns_that_we_have() -> None:
    rows = [
        result_row("mmlu_anatomy", "lenient", {"accuracy": 0.5}),
        result_row("medqa", "lenient", {"accuracy": 0.3}),
        result_row("mmlu_anatomy", "lenient", {"accuracy": 0.2}, condition="majority"),
        result_row("medqa", "lenient", {"accuracy": 0.2}, condition="majority"),
    ]
    chart = published_charts([results(*rows)])[-1]
    values = named(chart)
    assert values["ours"] == 40.0
    assert values["Most frequent answer"] == 20.0
    assert values["BiMediX2 8B"] == pytest.approx((65.9 + 57.0) / 2, abs=0.051)
    assert list(values.values()) == sorted(values.values(), reverse=True)
    assert "2 of 10 columns: Anatomy, MedQA" in chart["note"]["en"]
    assert "2 من 10" in chart["note"]["ar"]
    assert named(chart, "ar")["أكثر الإجابات تكرارا"] == 20.0


def test_figure_4_appears_with_uphill_results_alone() -> None:
    assert len(published_charts([results()])) == 2
    uphill = result_row("uphill", "original", {"accuracy": 0.6234, "consistency": 0.5}, request="generate")
    values = named(published_charts([results(uphill)])[-1])
    assert values == {
        "ours": 62.3, "BiMediX2 70B": 60.6, "BiMediX2 8B": 56.1, "Med42": 53.5, "GPT-4": 51.5, "Meditron-70B": 49.6,
    }  # fmt: skip


def test_a_run_without_common_items_has_no_language_chart() -> None:
    content = results(result_row("mmlu_anatomy", "lenient", {"accuracy": 0.5}, headline="accuracy", family="choice"))
    content["rows"][0]["metrics"]["accuracy"] |= {"low": 0.4, "high": 0.6}
    (chart,) = run_charts(content | {"comparisons": []})
    assert chart["title"]["en"] == "MMLU anatomy · English · Accuracy · lenient"
    assert "الإنجليزية" in chart["title"]["ar"]
