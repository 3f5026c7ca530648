import re

import pytest
import torch

from clipact import faults
from clipact.errors import CampaignError
from clipact.report import campaign_page

from .campaigns import classified, flip, result_of

COUNT = faults.BitFlip(count=1)


def sections(path):
    text = path.read_text()
    return re.findall(r"<section id=\"part-\d+\">\s*<h2>(.*?)</h2>(.*?)</section>", text, re.DOTALL)


@pytest.fixture(scope="module")
def page(single, tmp_path_factory):
    return campaign_page(single, tmp_path_factory.mktemp("page") / "new" / "page.html", margin=0.01)


def test_single_faults_have_every_picture(single, page):
    found = dict(sections(page))
    pictures = {title: body.count("<svg") for title, body in found.items()}
    assert pictures == {
        "Summary": 0,
        "Outcomes": 2,
        "By tensor": 1,
        "By bit": 1,
        "By tensor and bit": 1,
        "How sure this is": 2,
        "Failures": 0,
        "How this was measured": 0,
    }
    assert "BitFlip(count=1) on Weights()" in page.read_text()
    failed = len(single.columns.errors)
    assert f'<dd class="value">{failed}</dd>' in page.read_text()
    assert f"{400 - failed} of 400 trials had one fault only" in found["By tensor"]


def test_the_numbers_are_those_of_the_summary(single, page):
    found = dict(sections(page))
    row = single.summary().rows[0]
    cells = re.findall("<td>(.*?)</td>", found["Summary"])
    assert f"{100 * row.means['accuracy'].estimate:.1f}" in " ".join(cells)
    assert f"{row.trials}" in cells
    assert "RuntimeError: &lt;b&gt;boom&lt;/b&gt;" in found["Failures"]
    assert "1,000,000" in found["How this was measured"]
    assert "10 samples" in found["How this was measured"]
    assert "accuracy 0.9, sdc 0, due 0" in found["How this was measured"]


def test_a_curve_over_rates_has_no_maps_and_says_why(rates, tmp_path):
    path = campaign_page(rates, tmp_path / "page.html")
    found = dict(sections(path))
    assert found["Against the bit error rate"].count("<svg") == 1
    assert "Not shown: maps need single-fault trials" in found["By tensor and bit"]
    assert "Failures" not in found
    assert "<title>Bit error rates from 1e-06 to 0.0001 on Weights()</title>" in path.read_text()


def test_whole_words_have_no_bits_but_tensors(tmp_path):
    words = [faults.Fault(f"layer{n % 3}", 0, -1, "zero", 0.5, 0.0) for n in range(30)]
    trials = [classified(n, COUNT, kept=[word]) for n, word in enumerate(words)]
    found = dict(sections(campaign_page(result_of(trials, [COUNT]), tmp_path / "page.html")))
    assert found["By tensor"].count("<svg") == 1
    assert "Not shown: the faults replace whole words." in found["By bit"]


def test_a_metric_of_ones_own(tmp_path):
    trials = [faults.Trial(n, COUNT, {"loss": 2.0 + n % 2}, 0.1, 1, "00") for n in range(10)]
    result = result_of(trials, [COUNT], golden={"loss": 2.0}, asked=50)
    text = campaign_page(result, tmp_path / "page.html").read_text()
    assert "mean loss" in text
    assert "10 done of 50" in text
    assert "of 50 asked for" in text


def test_trials_that_all_failed(tmp_path):
    trials = [classified(n, COUNT, kept=[flip(3, 0.5)], error="ValueError: x") for n in range(4)]
    found = dict(sections(campaign_page(result_of(trials, [COUNT]), tmp_path / "page.html")))
    assert "ValueError: x" in found["Failures"]
    assert "How sure this is" not in found


def test_a_campaign_that_has_only_begun(rates, tmp_path):
    first = [trial for trial in rates.trials if trial.fault == rates.faults[0]][:3]
    text = campaign_page(
        result_of(first, rates.faults, asked=30), tmp_path / "page.html"
    ).read_text()
    assert "3 done of 90" in text
    assert "of 90 asked for" in text
    assert "nan" not in re.sub(r"<svg.*?</svg>", "", text, flags=re.DOTALL)
    both = campaign_page(
        {"a": rates, "b": result_of(first, rates.faults, asked=30)}, tmp_path / "page.html"
    )
    assert "Against the bit error rate" in both.read_text()


def test_names_from_a_model_are_escaped(tmp_path):
    name = '<img src=x onerror="alert(1)">&$x$_"'
    trials = [classified(n, COUNT, n % 2, kept=[flip(30, 0.5, name)]) for n in range(8)]
    text = campaign_page(result_of(trials, [COUNT]), tmp_path / "page.html").read_text()
    assert "<img" not in text
    assert "&lt;img src=x onerror=" in text


def test_several_are_compared(rates, tmp_path):
    path = campaign_page({"plain": rates, "<protected>": rates}, tmp_path / "page.html")
    found = sections(path)
    assert [title for title, _ in found[:2]] == ["Against the bit error rate", "Differences"]
    assert "+0.0000 [+0.0000, +0.0000]" in found[1][1]
    assert path.read_text().count('<h2 class="chapter">') == 2
    assert "&lt;protected&gt;" in path.read_text()


def test_campaigns_that_do_not_compare_say_why(rates, single, tmp_path):
    path = campaign_page({"a": rates, "b": single}, tmp_path / "page.html")
    assert "Not shown: " in dict(sections(path))["Differences"]


def test_what_cannot_be_shown(single, tmp_path):
    with pytest.raises(CampaignError, match="got no result"):
        campaign_page({}, tmp_path / "page.html")
    with pytest.raises(CampaignError, match="the campaign has no trial yet"):
        campaign_page(result_of([], [COUNT], asked=4), tmp_path / "page.html")
    with pytest.raises(CampaignError, match="no metric 'f1'"):
        campaign_page(single, tmp_path / "page.html", metric="f1")
    assert list(tmp_path.iterdir()) == []


def test_a_real_campaign(tmp_path):
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Linear(8, 16), torch.nn.ReLU(), torch.nn.Linear(16, 4))
    inputs = torch.randn(20, 8)
    evaluation = faults.Classification([(inputs, model(inputs).argmax(1))])
    campaign = faults.Campaign(
        model, evaluation, fault=[faults.BitFlip(rate=r) for r in (1e-4, 1e-2)], target=faults.Weights(), trials=12
    )  # fmt: skip
    text = campaign_page(campaign.run(progress=False), tmp_path / "page.html").read_text()
    assert text.count("<svg") >= 5
