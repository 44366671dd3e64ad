from dashboards.charts import honesty_trend
from dashboards.templatetags.readings import energy, share, share_interval
from jobs.figures import Link, Measured


def test_an_interval_becomes_distances_from_the_value():
    figure = honesty_trend(
        [Link("base", "/1/"), Link("trained", "/2/")],
        [{"truthful_rate": Measured(0.6, 0.5, 0.75)}, {"truthful_rate": Measured(0.9, 0.85, 0.95)}],
    ).figure
    (trace,) = figure["data"]
    assert trace["x"] == ["base", "trained"] and trace["y"] == [0.6, 0.9]
    assert [round(up, 6) for up in trace["error_y"]["array"]] == [0.15, 0.05]
    assert [round(down, 6) for down in trace["error_y"]["arrayminus"]] == [0.1, 0.05]


def test_what_was_not_measured_is_a_gap_and_never_zero():
    figure = honesty_trend(
        [Link("a", "/1/"), Link("b", "/2/")], [{"truthful_rate": Measured(None)}, {"truthful_rate": Measured(0.9)}]
    ).figure
    (trace,) = figure["data"]
    assert trace["y"] == [None, 0.9]


def test_numbers_are_written_with_their_uncertainty():
    assert share(Measured(0.9583, 0.93, 0.975)) == "95.8%"
    assert share_interval(Measured(0.9583, 0.93, 0.975)) == "93.0 – 97.5%"
    assert share(None) == "—" and share_interval(None) == ""
    assert energy(None) == "not readable" and energy(1250) == "1.25 kJ"
