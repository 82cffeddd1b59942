"""Which test covers which row of the table of bad inputs. A row without a test, or a test that is gone, fails here."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

HERE = Path(__file__).parent
WHOLE = ("requests", "traffic", "pictures", "dicom", "answers", "states")
"""``test_bad_inputs_<name>.py`` go through the whole server over a real connection; ``test_07_…`` is about row 7."""

ROWS: dict[int, tuple[str, tuple[str, ...]]] = {
    1: ("no, wrong or expired key; key in the query string", ("test_auth_keys::test_every_reason_gives_the_same_401",)),
    2: ("another user's conversation or upload", ("test_uploads_store::test_2_another_owners_upload_is_not_there",)),
    3: ("tokens of a sign-in that are not right", (
        "test_auth_oidc::test_signatures_that_are_not_right", "test_auth_oidc::test_claims_that_are_not_right")),
    4: ("foreign Host or Origin", ("test_auth_origin::test_only_our_own_names",)),
    5: ("body too large, endless or slow", (
        "test_api_bad_input::test_a_slow_body_is_408_and_the_connection_is_closed",)),
    6: ("compressed body", ("test_api_bad_input::test_compressed_bodies_are_refused_unread",)),
    7: ("not strict JSON", ("test_api_bad_input::test_what_is_not_strict_json_is_400",)),
    8: ("messages that make no conversation", ("test_api_bad_input::test_messages_that_make_no_conversation_are_422",)),
    9: ("too many messages, too much text", ("test_api_bad_input::test_too_much_text_is_413",)),
    10: ("values out of range", ("test_api_bad_input::test_values_out_of_their_documented_range_are_422",)),
    11: ("unknown model or adapter", ("test_api_bad_input::test_an_unknown_model_is_404",)),
    12: ("control tokens in text", ("test_engines_upstream::test_no_tokenizer_finds_a_control_token_in_plain_text",)),
    13: ("no picture, too many, or in the wrong message", (
        "test_api_pictures::test_pictures_stand_in_the_users_messages_and_not_too_many",)),
    14: ("remote addresses", ("test_api_pictures::test_no_address_is_ever_fetched",)),
    15: ("other schemes and paths", ("test_api_pictures::test_an_address_that_is_no_picture_is_400",)),
    16: ("bad base64", ("test_api_pictures::test_an_address_that_is_no_picture_is_400",)),
    17: ("wrong label", ("test_uploads_bad_inputs::test_17_label_is_not_believed",)),
    18: ("empty, cut or damaged", ("test_uploads_bad_inputs::test_18_cut_or_damaged",)),
    19: ("decompression bombs", ("test_uploads_bad_inputs::test_19_bombs_leave_the_server_small",)),
    20: ("animations and pages", ("test_uploads_bad_inputs::test_20_animations",)),
    21: ("odd sizes and modes", ("test_uploads_bad_inputs::test_21_odd_pictures",)),
    22: ("documents and polyglots", ("test_uploads_bad_inputs::test_22_polyglots_lose_their_tail",)),
    23: ("formats that start other programs", ("test_uploads_bad_inputs::test_22_23_25_other_types",)),
    24: ("file names", ("test_uploads_bad_inputs::test_24_names_are_never_paths",)),
    25: ("DICOM without its mark", ("test_uploads_bad_inputs::test_22_23_25_other_types",)),
    26: ("another format's preamble", ("test_uploads_bad_inputs::test_26_preambles_are_dropped",)),
    27: ("deflated bomb", ("test_uploads_bad_inputs::test_27_deflated",)),
    28: ("deep sequences", ("test_uploads_bad_inputs::test_28_deep_sequences",)),
    29: ("lying lengths", ("test_uploads_bad_inputs::test_29_lying_lengths",)),
    30: ("impossible pixel modules", ("test_uploads_bad_inputs::test_30_impossible_pixel_modules",)),
    31: ("garbage fragments, video", ("test_uploads_bad_inputs::test_31_garbage_fragments",)),
    32: ("windows and rescale", ("test_uploads_bad_inputs::test_32_windows_that_are_none",)),
    33: ("grey and colour of every kind", ("test_uploads_pictures::test_monochrome1_and_padding",)),
    34: ("DICOM without a picture", ("test_uploads_bad_inputs::test_34_no_picture",)),
    35: ("DICOMDIR", ("test_uploads_bad_inputs::test_35_dicomdir",)),
    36: ("names in any character set", ("test_store_rows::test_tags_of_a_dicom_file_are_shown_to_nobody",)),
    37: ("identity in the pixels", ("test_uploads_bad_inputs::test_37_identity_in_the_picture",)),
    38: ("orders in a picture", ("test_safety::test_pictures_always_come_with_their_notice",)),
    39: ("orders in a report", ("test_safety::test_orders_change_no_setting",)),
    40: ("hostile model output", ("test_page_browser::test_hostile_output_is_inert",)),
    41: ("direction controls and combining marks", ("test_export_route::test_any_text_is_written",)),
    42: ("emergencies", ("test_safety::test_the_text_comes_first_in_an_answer",)),
    43: ("a hundred clients leave", ("test_api_chat::test_a_client_that_leaves_frees_the_place_at_once",)),
    44: ("two hundred requests at once", ("test_api_chat::test_a_full_queue_is_429_with_a_time_and_waiting_is_told",)),
    45: ("an upload used twice and deleted in use", (
        "test_store_rows::test_one_upload_in_two_conversations_and_its_end",)),
    46: ("wrong methods, paths and headers", ("test_api_bad_input::test_wrong_methods_and_paths",)),
    47: ("old cookies, other sites' forms, WebSockets", ("test_auth_oidc::test_another_site_cannot_use_a_session",)),
    48: ("adapters that are pickled, wrong or do nothing", ("test_adapters::test_what_could_not_work_is_refused",)),
    49: ("a chat template that loops", ()),
    50: ("disk full, folder read-only, model missing", ("test_store_rows::test_a_data_folder_that_cannot_be_written",)),
}  # fmt: skip
ELSEWHERE = {3}
"""Rows whose tests run the whole server without a socket: the sign-in's, which need a provider beside it."""


def functions_of(module: str) -> dict[str, ast.FunctionDef]:
    path = HERE / f"{module}.py"
    assert path.is_file(), f"{path.name} is gone"
    found = ast.parse(path.read_text(encoding="utf-8"))
    return {
        node.name: node for node in found.body if isinstance(node, ast.FunctionDef) and node.name.startswith("test")
    }


def is_run(test: ast.FunctionDef) -> bool:
    """Whether it checks anything and belongs to the default suite."""
    marks = " ".join(ast.unparse(mark) for mark in test.decorator_list)
    checks = any(isinstance(node, ast.Assert) or (isinstance(node, ast.Call) and _name(node) in _CHECKS)
                 for node in ast.walk(test))  # fmt: skip
    return checks and not re.search(r"mark\.(slow|skip|xfail)\b", marks)


_CHECKS = {"named", "refused", "taken", "raises"}


def _name(call: ast.Call) -> str:
    return getattr(call.func, "id", getattr(call.func, "attr", ""))


def whole_tests() -> dict[int, list[str]]:
    found: dict[int, list[str]] = {}
    for name in WHOLE:
        for test, node in functions_of(f"test_bad_inputs_{name}").items():
            if (row := re.match(r"test_(\d\d)_", test)) and is_run(node):
                found.setdefault(int(row[1]), []).append(test)
    return found


def test_the_table_has_fifty_rows() -> None:
    assert list(ROWS) == list(range(1, 51))


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row:02}")
def test_a_row_has_a_test(row: int) -> None:
    about, elsewhere = ROWS[row]
    for place in elsewhere:
        module, _, test = place.partition("::")
        node = functions_of(module).get(test)
        assert node is not None and is_run(node), f"row {row}, {about}: {place} is gone or not run"
    assert row in ELSEWHERE or whole_tests().get(row), f"row {row}, {about}: no test through the whole server"
    assert row not in ELSEWHERE or elsewhere
