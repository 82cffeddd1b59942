"""The command table. Every command lives in its own file and imports its work inside the function."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from . import (
    ask,
    chat,
    data,
    data_build,
    data_card,
    data_check,
    data_decontaminate,
    data_ingest,
    data_mix,
    data_phi,
    data_review,
    data_rewrite,
    data_shard,
    data_stats,
    data_translate,
    doctor,
    evaluate,
    harness,
    keys,
    models,
    overlap,
    pull,
    report,
    score,
    serve,
    train,
    train_status,
)
from ._errors import GuardedGroup

_HELP = """BiMediX2: an Arabic-English medical vision-language assistant.
Research use only, not a medical device.

مساعد طبي بصري لغوي بالعربية والإنجليزية. للاستخدام البحثي فقط، وليس جهازا طبيا."""
_EPILOG = "BIMEDIX2_LANG=ar shows messages in Arabic; BIMEDIX2_DEBUG=1 shows tracebacks."


class _Commands(GuardedGroup):
    """Commands of one word or two: `train status RUN` stands beside `train RECIPE`."""

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Take the first two words as a name where a command has it."""
        name = " ".join(args[:2])
        return super().resolve_command(ctx, [name, *args[2:]] if name in self.commands else args)


def new_typer(help_text: str) -> typer.Typer:
    """A group with plain help: rich panels would cost more time than the rest of the start."""
    return typer.Typer(
        cls=_Commands,
        help=help_text,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
        add_completion=False,
        no_args_is_help=True,
        context_settings={"help_option_names": ["-h", "--help"]},
    )


app = new_typer(_HELP)


def _version(wanted: bool) -> None:
    if wanted:
        from bimedix2 import __version__

        typer.echo(f"bimedix2 {__version__}")
        raise typer.Exit


@app.callback(epilog=_EPILOG)
def root(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version and exit.", callback=_version, is_eager=True)
    ] = False,
) -> None:
    """Shared options."""


app.command("ask")(ask.ask)
app.command("chat")(chat.chat)
app.command("pull")(pull.pull)
app.command("convert")(models.convert)
app.command("compose")(models.compose)
app.command("merge")(models.merge)
app.command("export")(models.export)
app.command("train")(train.train)
app.command("train status")(train_status.status)
app.command("doctor")(doctor.doctor)
app.command("serve")(serve.serve)

data_app = new_typer("Look at, fetch, build and convert data sets.")
data_app.command("ingest")(data_ingest.ingest)
data_app.command("sources")(data_ingest.sources)
data_app.command("stats")(data_stats.stats)
data_app.command("show")(data.show)
data_app.command("fetch")(data.fetch)
data_app.command("build")(data_build.build)
data_app.command("card")(data_card.card)
data_app.command("convert")(data.convert)
data_app.command("rewrite")(data_rewrite.rewrite)
data_app.command("translate")(data_translate.translate)
data_app.command("check")(data_check.check)
review_app = new_typer("Let experts review translations. مراجعة الخبراء للترجمات.")
review_app.command("start")(data_review.start)
review_app.command("serve")(data_review.serve)
review_app.command("report")(data_review.report)
review_app.command("export")(data_review.export)
review_app.command("import")(data_review.import_)
data_app.add_typer(review_app, name="review")
data_app.command("decontaminate")(data_decontaminate.decontaminate)
data_app.command("dedup")(data_decontaminate.dedup)
data_app.command("phi")(data_phi.phi)
data_app.command("mix")(data_mix.mix)
data_app.command("shard")(data_shard.shard)
data_app.command("unshard")(data_shard.unshard)
app.add_typer(data_app, name="data")

app.command("evaluate")(evaluate.evaluate)
app.command("score")(score.score)
app.command("compare")(score.compare)
app.command("report")(report.report)
app.command("overlap")(overlap.overlap)

keys_app = new_typer("Who may use the server. من يحق له استخدام الخادم.")
keys_app.command("create")(keys.create)
keys_app.command("list")(keys.list_)
keys_app.command("revoke")(keys.revoke)
app.add_typer(keys_app, name="keys")
audit_app = new_typer("What was done on the server. ما جرى على الخادم.")
audit_app.command("verify")(keys.verify)
audit_app.command("tail")(keys.tail)
app.add_typer(audit_app, name="audit")

harness_app = new_typer("Exchange with other evaluation harnesses; score --format reads their predictions.")
harness_app.command("lm-eval-tasks")(harness.lm_eval_tasks)
harness_app.command(
    "lm-eval-run",
    context_settings={"allow_extra_args": True, "ignore_unknown_options": True, "help_option_names": []},
)(harness.lm_eval_run)
harness_app.command("inspect")(harness.inspect)
app.add_typer(harness_app, name="harness")
