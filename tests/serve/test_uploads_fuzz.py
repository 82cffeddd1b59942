"""Damaged files by the hundred: a picture that is kept as it was shown, or a named error, and nothing else."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from random import Random

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from upload_app import send, upload_client

from bimedix2.errors import ImageError
from bimedix2.images import ImageDecoder
from bimedix2.images.messages import ERRORS

_spec = importlib.util.spec_from_file_location("serve_fuzz", Path(__file__).parents[2] / "benchmarks" / "serve_fuzz.py")
assert _spec is not None and _spec.loader is not None
fuzz = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(fuzz)

FILES = fuzz.seeds()


@pytest.fixture(scope="module")
def decoder():
    with ImageDecoder(fuzz.LIMITS) as found:
        yield found


@pytest.fixture(scope="module")
def client(tmp_path_factory):
    with upload_client(tmp_path_factory.mktemp("server") / "data") as found:
        yield found


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 2**32))
def test_any_mutation_is_a_picture_or_a_named_error(decoder, seed):
    fuzz.check(decoder, fuzz.mutate(Random(seed), FILES))


def test_the_check_sees_both_ends(decoder):
    assert fuzz.check(decoder, FILES[-1]) == "picture" and fuzz.check(decoder, bytes(50)) == "unsupported_image_type"
    answers = {fuzz.check(decoder, fuzz.mutate(Random(seed), FILES)) for seed in range(60)}
    assert "picture" in answers and len(answers) > 3


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 2**32))
def test_no_damaged_upload_is_a_fault_of_the_server(client, seed):
    answer = send(client, fuzz.mutate(Random(seed), FILES), f"{seed}.dcm")
    assert answer.status_code == 200 or (answer.status_code < 500 and answer.json()["error"]["code"] in ERRORS)
    if answer.status_code == 200:
        for rest in ("image", "pixels", "image?frame=1", "image?center=1&width=2"):
            assert client.get(f"/v1/uploads/{answer.json()['id']}/{rest}").status_code in (200, 422)
        client.delete(f"/v1/uploads/{answer.json()['id']}")


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    body=st.binary(max_size=400), kind=st.sampled_from(["multipart/form-data; boundary=b", "x", "multipart/form-data"])
)
def test_any_body_is_a_form_or_a_named_error(client, body, kind):
    for content in (body, b"--b\r\n" + body, b'--b\r\nContent-Disposition: form-data; name="file"\r\n' + body):
        answer = client.post("/v1/uploads", content=content, headers={"content-type": kind})
        assert answer.status_code in (400, 415, 422)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    low=st.integers(-32768, 32767),
    span=st.integers(0, 65535),
    slope=st.sampled_from([1.0, 2.0, 0.5, -1.0, 0.0001, 3.7]),
    intercept=st.sampled_from([0.0, -1024.0, 0.25]),
)
def test_codes_are_within_half_a_step_of_the_values(low, span, slope, intercept):
    from bimedix2.images.levels import quantize

    stored = np.array([low, low + span // 3, low + span // 2, low + span], dtype=np.float64)
    values = stored * slope + intercept
    codes, least, most, step, padding = quantize(values, None)
    assert np.abs(least + codes * step - values).max() <= step / 2 * 1.000001
    assert (least, most, padding) == (values.min(), values.max(), None)


def test_a_child_answers_nothing_that_was_not_asked():
    from bimedix2.images.protocol import ProtocolError, check_answer

    limits = fuzz.LIMITS
    good = {"height": 2, "width": 3, "frame": 0, "low": 0.0, "high": 1.0, "step": 1.0, "padding": None}
    good |= {"inverted": False, "laterality": "L", "windows": [[40.0, 400.0, "lung"]]}
    check_answer(good, 12, limits, "grey")
    wrong = [{"padding": 3}, {"inverted": 1}, {"laterality": "X"}, {"windows": [[1.0, 0.0, "lung"]]}, {"step": 0.0}]
    wrong += [{"windows": [[40.0, 400.0, "John"]]}, {"low": float("nan")}, {"height": 3}, {"windows": [[1.0, 2.0]]}]
    for change in wrong:
        with pytest.raises(ProtocolError):
            check_answer({**good, **change}, 12, limits, "grey")
    for size in (0, 132, limits.max_bytes + (1 << 20)):
        with pytest.raises(ProtocolError):
            check_answer({}, size, limits, "strip")


def test_errors_of_both_new_requests_are_named(decoder):
    for call in (decoder.grey_bytes, decoder.strip_bytes):
        with pytest.raises(ImageError) as caught:
            call(b"GIF89a" + bytes(50))
        assert caught.value.code == "unsupported_image_type"
