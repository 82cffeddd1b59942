"""Options that steps on a language model share, and how they become a server and a run."""

from __future__ import annotations

import inspect
import json
import sys
from collections.abc import Callable, Mapping
from dataclasses import MISSING, dataclass, fields
from enum import StrEnum
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, get_type_hints

import typer

from bimedix2.errors import BiMediX2Error, ConfigError

from ._engines import DEFAULT_KEY

if TYPE_CHECKING:
    from bimedix2.data.llm.estimate import Estimate
    from bimedix2.data.llm.prompts import Prompts
    from bimedix2.data.llm.run import StepRun
    from bimedix2.data.llm.settings import RunSettings, Server
    from bimedix2.data.llm.step import By, Step
    from bimedix2.data.llm.workspace import Summary, Work
    from bimedix2.endpoint.price import Price


class ReplyFormat(StrEnum):
    """How the server is asked for JSON."""

    json_schema = "json_schema"
    json_object = "json_object"
    none = "none"


Inputs = Annotated[list[Path], typer.Argument(help="Records: .jsonl or .parquet.", metavar="RECORDS...")]
Out = Annotated[Path, typer.Option(help="File of the new records: .jsonl or .parquet.")]
WorkFolder = Annotated[
    Path | None,
    typer.Option("--work", help="Folder of ledger, review queue and summary; OUT.work if not given."),
]
Address = Annotated[str, typer.Option(help="OpenAI-compatible server, such as http://127.0.0.1:8000/v1.")]
ModelName = Annotated[str, typer.Option("--model", "-m", help="Name that the server knows the model by.")]
KeyVariable = Annotated[str, typer.Option("--api-key-env", help="Environment variable that holds its key.")]
Concurrency = Annotated[int, typer.Option(help="Rows under way at once.", min=1, max=1024)]
Rpm = Annotated[float | None, typer.Option(help="Most requests a minute.", min=0.001)]
Tpm = Annotated[float | None, typer.Option(help="Most tokens a minute, read and written.", min=1)]
Timeout = Annotated[float, typer.Option(help="Seconds that one request may take.", min=0.1)]
Retries = Annotated[int, typer.Option(help="Further attempts after 429, 5xx, a time-out or a lost connection.", min=0)]
Repairs = Annotated[int, typer.Option(help="Times that a reply of the wrong form goes back.", min=0, max=5)]
PriceIn = Annotated[float | None, typer.Option(help="Price of a million prompt tokens, if not in --prices.", min=0)]
PriceOut = Annotated[float | None, typer.Option(help="Price of a million reply tokens, if not in --prices.", min=0)]
Prices = Annotated[Path | None, typer.Option(help="YAML table MODEL: {prompt: …, completion: …}.")]
Budget = Annotated[float | None, typer.Option(help="Most that the workspace may cost, earlier runs counted.", min=0)]
MaxTokens = Annotated[int, typer.Option(help="Longest reply; doubled once where one is cut.", min=16)]
Temperature = Annotated[float, typer.Option(help="0 takes the likeliest token.", min=0, max=2)]
Seed = Annotated[int, typer.Option(help="Seed of sampling and of the audit sample.")]
Format = Annotated[ReplyFormat, typer.Option(help="How the server is asked for JSON; replies are checked anyway.")]
TokensField = Annotated[str, typer.Option(help="Field for the longest reply; some want max_completion_tokens.")]
Body = Annotated[str, typer.Option("--body", help="JSON object with further request fields; null removes one.")]
PromptFolder = Annotated[Path | None, typer.Option("--prompts", help="Folder with own prompts, as NAME.v2.en.txt.")]
Limit = Annotated[int | None, typer.Option(help="Start at most so many rows.", min=1)]
Retry = Annotated[list[str] | None, typer.Option(help="Try quarantined rows of this reason again; all for any.")]
AcceptModel = Annotated[list[str] | None, typer.Option(help="Name that the server may answer under too.")]
NoDerivatives = Annotated[bool, typer.Option("--allow-no-derivatives", help="Also records whose licence forbids it.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Print what it would cost; send nothing.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print the summary as JSON.")]


@dataclass(frozen=True, kw_only=True)
class LlmOptions:
    """The options, as they are on the command line."""

    out: Out
    endpoint: Address
    model: ModelName
    work: WorkFolder = None
    api_key_env: KeyVariable = DEFAULT_KEY
    concurrency: Concurrency = 16
    rpm: Rpm = None
    tpm: Tpm = None
    timeout: Timeout = 120
    retries: Retries = 6
    repairs: Repairs = 2
    price_in: PriceIn = None
    price_out: PriceOut = None
    prices: Prices = None
    budget: Budget = None
    temperature: Temperature = 0
    seed: Seed = 0
    reply_format: Format = ReplyFormat.json_schema
    tokens_field: TokensField = "max_tokens"
    body: Body = ""
    prompts: PromptFolder = None
    limit: Limit = None
    retry: Retry = None
    accept_model: AcceptModel = None
    allow_no_derivatives: NoDerivatives = False
    dry_run: DryRun = False
    json_output: AsJson = False

    def server(self) -> Server:
        """The server that they stand for.

        Raises:
            ConfigError: an option cannot be used.
        """
        from bimedix2.data.llm.settings import Server

        return Server(
            address=self.endpoint,
            model=self.model,
            key_variable=self.api_key_env,
            timeout_s=self.timeout,
            retries=self.retries,
            requests_per_minute=self.rpm,
            tokens_per_minute=self.tpm,
            price=self._price(),
            temperature=self.temperature,
            seed=self.seed,
            reply_format=self.reply_format.value,
            tokens_field=self.tokens_field,
            extra=_body(self.body),
        )

    def _price(self) -> Price | None:
        from bimedix2.data.llm.settings import read_prices
        from bimedix2.endpoint.price import Price

        listed = read_prices(self.prices).get(self.model) if self.prices else None
        if listed is None and (self.price_in is not None or self.price_out is not None):
            return Price(self.price_in or 0.0, self.price_out or 0.0)
        return listed

    def settings(self, variants: int = 1) -> RunSettings:
        """How the step is run."""
        from bimedix2.data.llm.settings import RunSettings

        return RunSettings(
            concurrency=self.concurrency,
            repairs=self.repairs,
            variants=variants,
            budget=self.budget,
            limit=self.limit,
            retry=tuple(self.retry or ()),
            accept_models=tuple(self.accept_model or ()),
        )

    def task(
        self, step: Step, records: list[Path], servers: Mapping[By, Server], prompts: Prompts, run: RunSettings
    ) -> Work:
        """The step with its input, output and workspace."""
        from bimedix2.data.llm.workspace import Work

        folder = self.work or self.out.with_name(f"{self.out.name}.work")
        return Work(step, records, self.out, folder, servers, run, prompts)


def on_a_server(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options of :class:`LlmOptions`; it gets their values as its argument ``llm``."""
    own = inspect.signature(command, eval_str=True).parameters.values()
    hints = get_type_hints(LlmOptions, include_extras=True)
    shared = [
        inspect.Parameter(
            field.name,
            inspect.Parameter.KEYWORD_ONLY,
            default=inspect.Parameter.empty if field.default is MISSING else field.default,
            annotation=hints[field.name],
        )
        for field in fields(LlmOptions)
    ]
    names = {parameter.name for parameter in shared}

    @wraps(command)
    def run(**given: Any) -> None:
        options = LlmOptions(**{name: given.pop(name) for name in names})
        command(llm=options, **given)

    parameters = [item.replace(kind=inspect.Parameter.KEYWORD_ONLY) for item in own if item.name != "llm"] + shared
    run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    run.__annotations__ = {item.name: item.annotation for item in parameters}
    del run.__wrapped__  # or the command's own signature would be read
    return run


def perform(work: Work, llm: LlmOptions) -> None:
    """Run a step, or estimate it, and print what came of it; an error that ended it sets the exit code."""
    import msgspec

    from bimedix2.data.llm.workspace import estimate_work, run_work

    from ._errors import report

    if llm.dry_run:
        found = estimate_work(work)
        typer.echo(msgspec.json.encode(found).decode()) if llm.json_output else _tell_estimate(found)
        return
    summary, error = run_work(work, _progress if sys.stderr.isatty() else None)
    if llm.json_output:
        typer.echo(msgspec.json.encode(summary).decode())
    else:
        _tell_summary(summary, work)
    if isinstance(error, BiMediX2Error):
        raise typer.Exit(report(error))


def _progress(decided: int, run: StepRun) -> None:
    if decided % 50 == 0:
        print(f"\r{run.done_before + decided} rows, {run.tally.requests} requests", end="", file=sys.stderr, flush=True)


def _tell_summary(summary: Summary, work: Work) -> None:
    from ._terminal import tell

    if sys.stderr.isatty() and summary.decided >= 50:
        print(file=sys.stderr)
    typer.echo(str(work.out))
    cost = f"{summary.cost:.4f}"
    tell(
        f"{summary.records} records, {summary.review} for review, {summary.quarantine} in quarantine, "
        f"{sum(summary.passed_over.values())} passed over, {sum(summary.open.values())} open; {summary.requests} "
        f"requests, {summary.cached} replies from the ledger, {summary.failures} failed attempts; cost so far {cost}",
        f"السجلات {summary.records}، للمراجعة {summary.review}، في الحجر {summary.quarantine}، متجاوزة "
        f"{sum(summary.passed_over.values())}، مفتوحة {sum(summary.open.values())}؛ الطلبات {summary.requests}، "
        f"ردود من السجل {summary.cached}، محاولات فاشلة {summary.failures}؛ التكلفة حتى الآن {cost}",
    )


def _tell_estimate(found: Estimate) -> None:
    from ._terminal import tell

    low, high = found.cost or (0.0, 0.0)
    cost = f"{low:.4f} – {high:.4f}" if found.cost else "–"
    todo = found.rows - found.done - found.passed_over - found.parked
    basis = ("measured", "مقيسة") if found.measured else ("assumed", "مفترضة")
    requests, read, written = (f"{least} – {most}" for least, most in _ranges(found))
    tell(
        f"{found.rows} rows: {todo} to do, {found.done} done, {found.passed_over} passed over, {found.parked} parked\n"
        f"requests {requests}; prompt tokens {read}; reply tokens {written}\n"
        f"cost {cost} ({found.tokens_per_byte:.2f} tokens a byte, {basis[0]}; the second figure is the worst case "
        "without repairs)",
        f"الصفوف {found.rows}: المتبقي {todo}، المنجز {found.done}، المتجاوز {found.passed_over}، المركون "
        f"{found.parked}\n"
        f"الطلبات {requests}؛ رموز الأسئلة {read}؛ رموز الردود {written}\n"
        f"التكلفة {cost} ({found.tokens_per_byte:.2f} رمز للبايت، {basis[1]}؛ الرقم الثاني أسوأ حالة دون إصلاح)",
    )


def _ranges(found: Estimate) -> tuple[tuple[int, int], tuple[int, int], tuple[int, int]]:
    return found.requests, found.prompt_tokens, found.completion_tokens


def _body(text: str) -> dict[str, Any]:
    try:
        fields = json.loads(text) if text else {}
    except ValueError:
        fields = None
    if not isinstance(fields, dict):
        raise ConfigError(
            "--body must be a JSON object such as '{\"top_p\": 0.9}'.",
            "يجب أن يكون --body كائن JSON مثل '{\"top_p\": 0.9}'.",
        )
    return fields
