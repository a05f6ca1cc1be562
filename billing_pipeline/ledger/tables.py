"""The ledger's tables, in the order of the data's path: names, types and what they are for, as queries need them.

The migrations' SQL makes them, and alone says what is required, unique or a key of another table. Three kinds say what
the application's role may do to a table:

- ``fact``: written once (SELECT, INSERT). What is final lives here; nothing is ever updated or deleted.
- ``state``: a status that moves forward (SELECT, INSERT, UPDATE of the columns that say where it is).
- ``work``: results that can be computed again from the facts (SELECT, INSERT, UPDATE, DELETE).
"""

from typing import Any

from sqlalchemy import (
    ARRAY,
    BigInteger,
    Boolean,
    Column,
    Date,
    DateTime,
    Double,
    Integer,
    MetaData,
    Numeric,
    SmallInteger,
    Table,
    Text,
    Uuid,
)
from sqlalchemy.dialects.postgresql import JSONB

metadata = MetaData()
INSTANT = DateTime(timezone=True)
MINOR = Numeric(30, 0)  # minor units of the document's currency
QUANTITY = Numeric  # exact, of any scale


def _fact(name: str, *columns: Column[Any]) -> Table:
    return Table(name, metadata, *columns, info={"kind": "fact"})


def _state(name: str, *columns: Column[Any]) -> Table:
    return Table(name, metadata, *columns, info={"kind": "state"})


def _work(name: str, *columns: Column[Any]) -> Table:
    return Table(name, metadata, *columns, info={"kind": "work"})


def _rated_line_columns() -> list[Column[Any]]:
    """The columns of a rated line, wherever it stands."""
    return [
        Column("kind", Text),
        Column("subscription", Text),
        Column("plan", Text),
        Column("plan_version", Integer),
        Column("price", Text),
        Column("product", Text),
        Column("description", Text),
        Column("service_start", Date),
        Column("service_end", Date),
        Column("dimensions", JSONB),
        Column("quantity", QUANTITY),
        Column("amount_minor", MINOR),
        Column("phase_start", INSTANT, comment="of the subscription's phase that is priced"),
        Column("start", INSTANT, comment="the instant from which its usage, or what a fee pays for, counts"),
    ]


def _document_line_columns() -> list[Column[Any]]:
    """The columns of a line on a document: its place there, the rated line, and what it adjusts."""
    return [
        Column("line", Integer),
        *_rated_line_columns(),
        Column("adjusts", Text),
        Column("adjusts_document", Uuid, comment="the final document that an adjustment or a credit note corrects"),
    ]


# --- the ledger itself ------------------------------------------------------------------------------------------
ledger = _state(
    "ledger",
    Column("id", SmallInteger),
    Column("sandbox", Boolean),
    Column("sandbox_now", INSTANT, comment="the sandbox clock, once it was set; never goes back"),
    Column("time_zone", Text),
    Column("cadence", Text),
    Column("first_day", Date),
    Column("buckets", SmallInteger),
    Column("created_at", INSTANT),
)

# --- catalog: every version of everything, with when and by whom it was recorded --------------------------------
catalog_change = _fact(
    "catalog_change",
    Column("number", BigInteger),
    Column("recorded_at", INSTANT),
    Column("actor", Text),
    Column("action", Text, comment="the verb, e.g. 'catalog apply'"),
    Column("transaction", Text, comment="its entries are accepted only in the transaction that wrote it"),
)
catalog_entry = _fact(
    "catalog_entry",
    Column("change", BigInteger),
    Column("kind", Text),
    Column("id", Text),
    Column("customer", Text, comment="whom the entry concerns; null: possibly everyone"),
    Column("content", JSONB),
)
customer = _fact(
    "customer",
    Column("code", Integer),
    Column("id", Text),
    Column("bucket", SmallInteger),
)
meter = _fact(
    "meter",
    Column("code", SmallInteger),
    Column("id", Text),
)

# --- usage: batches, the manifest of the lake, quarantine -------------------------------------------------------
dimension = _fact(
    "dimension",
    Column("name", Text),
)
batch = _fact(
    "batch",
    Column("number", BigInteger),
    Column("source", Text),
    Column("content_hash", Text),
    Column("repeat", Integer, comment="how often landed before with --again"),
    Column("received_at", INSTANT),
    Column("name", Text, comment="file name, or 'frame'"),
    Column("rows", BigInteger, comment="input rows"),
    Column("quarantined", BigInteger),
    Column("bytes", BigInteger),
    Column("replay_of", BigInteger),
    Column("actor", Text),
    Column("replaces", BigInteger, comment="the batch in whose place it stands as a whole"),
    Column("transaction", Text, comment="its files and rows are accepted only in the transaction that wrote it"),
)
lake_file = _fact(
    "lake_file",
    Column("path", Text, comment="relative to the lake"),
    Column("batch", BigInteger),
    Column("period", Date),
    Column("bucket", SmallInteger, comment="null: rows of all buckets"),
    Column("rows", BigInteger),
    Column("retractions", BigInteger),
    Column("bytes", BigInteger),
    Column("sha256", Text),
    Column("dimensions", ARRAY(Text)),
    Column("meters", ARRAY(SmallInteger), comment="codes of the meters it has events of"),
    Column(
        "customers",
        ARRAY(Integer),
        comment="codes of the customers it has events of; null: an earlier version kept none",
    ),
)
batch_period = _fact(
    "batch_period",
    Column("period", Date),
    Column("batch", BigInteger),
    Column("rows", BigInteger, comment="0: the batch only replaced a snapshot's rows here"),
)
snapshot_scope = _fact(
    "snapshot_scope",
    Column("code", Integer),
    Column("source", Text),
    Column("key", Text, comment="canonical JSON of the scope's columns"),
)
snapshot_delivery = _fact(
    "snapshot_delivery",
    Column("scope", Integer),
    Column("batch", BigInteger),
    Column("periods", ARRAY(Date), comment="periods this delivery has rows in"),
)
quarantine = _fact(
    "quarantine",
    Column("id", BigInteger),
    Column("batch", BigInteger),
    Column("row", BigInteger, comment="1-based data row in the delivery"),
    Column("column", Text),
    Column("value", Text),
    Column("code", Text),
    Column("reason", Text),
    Column("raw", Text, comment="the row as sent: JSON of its columns, or the line itself"),
    Column("parsed", Boolean, comment="raw is JSON of columns"),
)
quarantine_replay = _fact(
    "quarantine_replay",
    Column("quarantine_id", BigInteger),
    Column("batch", BigInteger),
)
landing_file = _work(
    "landing_file",
    Column("url", Text),
    Column("etag", Text, comment="size and modification time, or the store's etag"),
    Column("batch", BigInteger),
    Column("error", Text),
    Column("seen_at", INSTANT),
)
watermark = _fact(
    "watermark",
    Column("id", BigInteger),
    Column("source", Text),
    Column("instant", INSTANT),
    Column("recorded_at", INSTANT),
    Column("actor", Text),
)

# --- metering and rating: results per customer and period, computed again whenever something is dirty ------------
period_bucket = _work(
    "period_bucket",
    Column("period", Date),
    Column("bucket", SmallInteger),
    Column("through_batch", BigInteger),
    Column("through_change", BigInteger),
    Column("closed", Boolean, comment="invoiced at or after its end"),
)
customer_period = _work(
    "customer_period",
    Column("period", Date),
    Column("customer", Integer),
    Column("bucket", SmallInteger),
    Column("terms", Text, comment="fingerprint of the catalog entries that price this customer"),
    Column("pending", Text, comment="next stage"),
    Column("batches", ARRAY(BigInteger), comment="why: batches not yet invoiced"),
    Column("changes", ARRAY(BigInteger), comment="why: catalog changes not yet invoiced"),
)
late_usage = _work(
    "late_usage",
    Column("period", Date),
    Column("customer", Integer),
    Column("batch", BigInteger, comment="received at or after the cutoff of one of its documents"),
    Column("settled_by", Uuid, comment="the final document that carries the difference it made"),
)
revisit = _work(
    "revisit",
    Column("id", BigInteger),
    Column("period", Date, comment="whose documents are to be computed again"),
    Column("customer", Integer),
    Column("batch", BigInteger, comment="late usage of an earlier period; null: another document became final"),
)
not_billable = _work(
    "not_billable",
    Column("period", Date),
    Column("customer", Integer),
    Column("document", Uuid, comment="the final document that holds the price's line"),
    Column("subscription", Text),
    Column("price", Text),
    Column("dimensions", JSONB),
    Column("quantity", QUANTITY, comment="known now, less what was billed"),
    Column("reason", Text),
)
usage_count = _work(
    "usage_count",
    Column("period", Date),
    Column("customer", Integer),
    Column("meter", SmallInteger),
    Column("landed", BigInteger),
    Column("accepted", BigInteger),
    Column("superseded", BigInteger),
    Column("retracted", BigInteger),
    Column("unpriced", BigInteger),
    Column("pending", BigInteger, comment="stops of sessions whose start is not known"),
)
metered_quantity = _work(
    "metered_quantity",
    Column("period", Date),
    Column("customer", Integer),
    Column("subscription", Text),
    Column("phase_start", INSTANT),
    Column("price", Text),
    Column("start", INSTANT),
    Column("cut", INSTANT, comment="the quantity counts usage of [start, cut)"),
    Column("dimensions", JSONB),
    Column("quantity", QUANTITY),
    Column("events", BigInteger),
    Column("provisional", BigInteger, comment="sessions that are open at the cut, or now"),
    Column("counted_to", INSTANT, comment="what lasts counts to this instant, which was now; null: it is complete"),
    Column("measures", ARRAY(Numeric), comment="for prices of single events: their values in order, or their sum"),
)
rated_line = _work(
    "rated_line",
    Column("period", Date),
    Column("customer", Integer),
    *_rated_line_columns(),
)

# --- documents ---------------------------------------------------------------------------------------------------
document = _fact(
    "document",
    Column("id", Uuid, comment="made from its identity: the same document always has the same id"),
    Column("customer", Integer),
    Column("kind", Text),
    Column("period", Date),
    Column("issue_date", Date),
    Column("window_end", INSTANT, comment="of an on-demand document"),
    Column("reissue", SmallInteger, comment="how often issued again"),
    Column("bucket", SmallInteger),
    Column("currency", Text),
)


def _state_columns() -> list[Column[Any]]:
    """The columns of one computed state of a document, be it a draft or a version."""
    return [
        Column("lock_at", INSTANT),
        Column("subtotal_minor", MINOR),
        Column("credits_applied_minor", MINOR),
        Column("tax_minor", MINOR),
        Column("total_minor", MINOR),
        Column("customer_credit_applied_minor", MINOR),
        Column("amount_due_minor", MINOR),
        Column("has_usage", Boolean, comment="prices in force, not events received, decide"),
        Column("covers", JSONB, comment="the prices whose usage this document bills"),
        Column("content", Text, comment="sha256 of the lines, totals and lock_at"),
        Column("as_of_batch", BigInteger),
        Column("as_of_change", BigInteger),
        Column("recorded_at", INSTANT),
        Column("reason", JSONB, comment="why it differs from the version before"),
        Column("code_version", Text),
    ]


draft_document = _work(
    "draft_document",
    Column("document", Uuid),
    *_state_columns(),
)
draft_line = _work(
    "draft_line",
    Column("document", Uuid),
    *_document_line_columns(),
)
document_version = _fact(
    "document_version",
    Column("document", Uuid),
    Column("version", Integer),
    *_state_columns(),
    Column("transaction", Text, comment="lines are accepted only in the transaction that wrote the version"),
)
document_line = _fact(
    "document_line",
    Column("document", Uuid),
    Column("version", Integer),
    *_document_line_columns(),
)
finalization = _fact(
    "finalization",
    Column("document", Uuid),
    Column("version", Integer),
    Column("number", Text, comment="null: no lines, so not issued"),
    Column("cutoff", INSTANT),
    Column("batch", BigInteger, comment="the last one received before the cutoff"),
    Column("change", BigInteger, comment="the last catalog change recorded before the cutoff"),
    Column("terms", Text, comment="fingerprint of the customer's terms as known then"),
    Column("finalized_at", INSTANT),
    Column("fingerprint", Text, comment="sha256 over its inputs: files, catalog terms, code"),
    Column("inputs", Text),
    Column("actor", Text),
)
input_set = _fact(
    "input_set",
    Column("fingerprint", Text),
    Column("content", JSONB, comment="the usage files: path, sha256"),
)
number_counter = _state(
    "number_counter",
    Column("year", Integer),
    Column("last", BigInteger),
)
document_void = _fact(
    "document_void",
    Column("document", Uuid),
    Column("voided_at", INSTANT),
    Column("actor", Text),
    Column("reason", Text),
    Column("replaced_by", Uuid, comment="its reissue; null: what it billed is waived"),
)
credit_note = _fact(
    "credit_note",
    Column("document", Uuid),
    Column("credits", Uuid, comment="the document that it lowers"),
    Column("correction", Boolean, comment="lowers what counts as billed; else it is goodwill"),
    Column("reason", Text),
    Column("actor", Text),
)

# --- on demand ---------------------------------------------------------------------------------------------------
on_demand_window = _fact(
    "on_demand_window",
    Column("customer", Integer),
    Column("window_end", INSTANT),
    Column("batch", BigInteger, comment="the last one received before its end"),
    Column("change", BigInteger, comment="the catalog change by which it was rated"),
    Column("document", Uuid, comment="null: nothing was to be invoiced"),
    Column("recorded_at", INSTANT),
    Column("actor", Text),
    Column("transaction", Text, comment="its quantities are accepted only in the transaction that wrote it"),
)
on_demand_quantity = _fact(
    "on_demand_quantity",
    Column("customer", Integer),
    Column("window_end", INSTANT),
    Column("subscription", Text),
    Column("phase_start", INSTANT),
    Column("price", Text),
    Column("dimensions", JSONB),
    Column("phase_end", INSTANT, comment="usage before it was counted; null: the phase had no end"),
    Column("quantity", QUANTITY, comment="cumulative over the phase, in the meter's unit"),
    Column("due", QUANTITY, comment="the exact amount of all of it"),
    Column("invoiced_minor", MINOR, comment="the rounded lines of all windows so far, this one's too"),
    Column("memory", JSONB, comment="what the price model goes on with"),
)
on_demand_due = _work(
    "on_demand_due",
    Column("customer", Integer),
    Column("window_end", INSTANT),
    Column("bucket", SmallInteger),
    Column("waits_for", Text, comment="why it was not processed when it was looked at last"),
)
on_demand_progress = _work(
    "on_demand_progress",
    Column("bucket", SmallInteger),
    Column("through_batch", BigInteger),
    Column("through_change", BigInteger),
)

# --- payments ----------------------------------------------------------------------------------------------------
payment_request = _fact(
    "payment_request",
    Column("document", Uuid),
    Column("gateway", Text),
    Column("collection", Text),
    Column("amount_minor", MINOR),
)
payment_event = _fact(  # where a payment stands follows from its steps: the view ``payment``
    "payment_event",
    Column("id", BigInteger),
    Column("document", Uuid),
    Column("status", Text),
    Column("at", INSTANT),
    Column("actor", Text),
    Column("note", Text),
    Column("reference", Text, comment="the gateway's own id, from the step that brought it"),
    Column("next_attempt_at", INSTANT, comment="when a refused payment is tried again; null: never"),
    Column("recorded_at", INSTANT, comment="the ledger's clock; what a person marks may have happened before"),
)

# --- checks, holds, and what ran ---------------------------------------------------------------------------------
check_result = _fact(
    "check_result",
    Column("id", BigInteger),
    Column("period", Date),
    Column("name", Text),
    Column("ran_at", INSTANT),
    Column("severity", Text, comment="error or warning"),
    Column("outcome", Text, comment="passed, failed or error (could not be computed)"),
    Column("summary", Text),
    Column("details", JSONB),
    Column("question", Text, comment="fingerprint of all that the outcome hangs on; null where none was found"),
)
hold = _fact(
    "hold",
    Column("id", BigInteger),
    Column("customer", Integer),
    Column("period", Date),
    Column("cause", Text, comment="the check's name, or 'manual'"),
    Column("reason", Text),
    Column("created_at", INSTANT),
    Column("actor", Text),
)
hold_release = _fact(
    "hold_release",
    Column("hold", BigInteger),
    Column("released_at", INSTANT),
    Column("actor", Text),
    Column("reason", Text),
)
stage_run = _fact(
    "stage_run",
    Column("id", BigInteger),
    Column("period", Date),
    Column("stage", Text),
    Column("at", INSTANT),
    Column("seconds", Double),
    Column("through_batch", BigInteger),
    Column("counts", JSONB),
    Column("actor", Text),
)
failed_step = _work(
    "failed_step",
    Column("step", Text),
    Column("period", Text, comment="its key; empty where the step belongs to none"),
    Column("error", Text),
    Column("hint", Text),
    Column("since", INSTANT),
    Column("last_at", INSTANT),
    Column("times", BigInteger),
)
