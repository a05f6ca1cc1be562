"""The ledger's tables, in the order of the data's path. Migrations create them; this module names them for queries.

Three kinds, and what the application's role may do to each:

- ``FACTS``: written once (SELECT, INSERT). What is final lives here; nothing is ever updated or deleted.
- ``STATES``: a status that moves forward (SELECT, INSERT, UPDATE of the columns that say where it is).
- ``WORK``: results that can be computed again from the facts (SELECT, INSERT, UPDATE, DELETE).
"""

from typing import Any

from sqlalchemy import (
    ARRAY,
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Date,
    DateTime,
    Float,
    ForeignKey,
    ForeignKeyConstraint,
    Identity,
    Index,
    Integer,
    MetaData,
    Numeric,
    SmallInteger,
    Table,
    Text,
    UniqueConstraint,
    Uuid,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

metadata = MetaData(
    naming_convention={
        "ix": "%(table_name)s_%(column_0_N_name)s_idx",
        "uq": "%(table_name)s_%(column_0_N_name)s_key",
        "ck": "%(table_name)s_%(constraint_name)s_check",
        "fk": "%(table_name)s_%(column_0_N_name)s_fkey",
        "pk": "%(table_name)s_pkey",
    }
)
INSTANT = DateTime(timezone=True)
MINOR = Numeric(30, 0)  # minor units of the document's currency
QUANTITY = Numeric  # exact, of any scale


def _fact(name: str, *columns: object) -> Table:
    return Table(name, metadata, *columns, info={"kind": "fact"})  # type: ignore[arg-type]


def _state(name: str, *columns: object) -> Table:
    return Table(name, metadata, *columns, info={"kind": "state"})  # type: ignore[arg-type]


def _work(name: str, *columns: object) -> Table:
    return Table(name, metadata, *columns, info={"kind": "work"})  # type: ignore[arg-type]


# --- the ledger itself ------------------------------------------------------------------------------------------
ledger = _state(
    "ledger",
    Column("id", SmallInteger, CheckConstraint("id = 1", name="one_row"), primary_key=True),
    Column("sandbox", Boolean, nullable=False),
    Column("sandbox_now", INSTANT, comment="the sandbox clock, once it was set; never goes back"),
    Column("time_zone", Text, nullable=False),
    Column("cadence", Text, nullable=False),
    Column("first_day", Date, nullable=False),
    Column("buckets", SmallInteger, nullable=False),
    Column("created_at", INSTANT, nullable=False),
)

# --- catalog: every version of everything, with when and by whom it was recorded --------------------------------
catalog_change = _fact(
    "catalog_change",
    Column("number", BigInteger, primary_key=True, autoincrement=False),
    Column("recorded_at", INSTANT, nullable=False),
    Column("actor", Text, nullable=False),
    Column("action", Text, nullable=False, comment="the verb, e.g. 'catalog apply'"),
)
catalog_entry = _fact(
    "catalog_entry",
    Column("change", BigInteger, ForeignKey("catalog_change.number"), primary_key=True),
    Column("kind", Text, primary_key=True),
    Column("id", Text, primary_key=True),
    Column("customer", Text, comment="whom the entry concerns; null: possibly everyone"),
    Column("content", JSONB, nullable=False),
    Index("catalog_entry_kind_id_change_idx", "kind", "id", "change"),
)
customer = _fact(
    "customer",
    Column("code", Integer, primary_key=True, autoincrement=False),
    Column("id", Text, nullable=False, unique=True),
    Column("bucket", SmallInteger, nullable=False),
)
meter = _fact(
    "meter",
    Column("code", SmallInteger, primary_key=True, autoincrement=False),
    Column("id", Text, nullable=False, unique=True),
)

# --- usage: batches, the manifest of the lake, quarantine -------------------------------------------------------
dimension = _fact(
    "dimension",
    Column("name", Text, primary_key=True),
    Index("dimension_lower_name_key", text("lower(name)"), unique=True),
)
batch = _fact(
    "batch",
    Column("number", BigInteger, primary_key=True, autoincrement=False),
    Column("source", Text, nullable=False),
    Column("content_hash", Text, nullable=False),
    Column("repeat", Integer, nullable=False, server_default="0", comment="how often landed before with --again"),
    Column("received_at", INSTANT, nullable=False),
    Column("name", Text, nullable=False, comment="file name, or 'frame'"),
    Column("rows", BigInteger, nullable=False, comment="input rows"),
    Column("quarantined", BigInteger, nullable=False),
    Column("bytes", BigInteger, nullable=False),
    Column("replay_of", BigInteger, ForeignKey("batch.number")),
    Column("actor", Text, nullable=False),
    UniqueConstraint("source", "content_hash", "repeat"),
    Index("batch_received_at_idx", "received_at"),
)
lake_file = _fact(
    "lake_file",
    Column("path", Text, primary_key=True, comment="relative to the lake"),
    Column("batch", BigInteger, ForeignKey("batch.number"), nullable=False),
    Column("period", Date, nullable=False),
    Column("bucket", SmallInteger, comment="null: rows of all buckets"),
    Column("rows", BigInteger, nullable=False),
    Column("retractions", BigInteger, nullable=False),
    Column("bytes", BigInteger, nullable=False),
    Column("sha256", Text, nullable=False),
    Column("dimensions", ARRAY(Text), nullable=False),
    Column("meters", ARRAY(SmallInteger), nullable=False, comment="codes of the meters it has events of"),
    Index("lake_file_period_batch_idx", "period", "batch"),
)
batch_period = _fact(
    "batch_period",
    Column("period", Date, primary_key=True),
    Column("batch", BigInteger, ForeignKey("batch.number"), primary_key=True),
    Column("rows", BigInteger, nullable=False, comment="0: the batch only replaced a snapshot's rows here"),
)
snapshot_scope = _fact(
    "snapshot_scope",
    Column("code", Integer, Identity(), primary_key=True),
    Column("source", Text, nullable=False),
    Column("key", Text, nullable=False, comment="canonical JSON of the scope's columns"),
    UniqueConstraint("source", "key"),
)
snapshot_delivery = _fact(
    "snapshot_delivery",
    Column("scope", Integer, ForeignKey("snapshot_scope.code"), primary_key=True),
    Column("batch", BigInteger, ForeignKey("batch.number"), primary_key=True),
    Column("periods", ARRAY(Date), nullable=False, comment="periods this delivery has rows in"),
)
quarantine = _fact(
    "quarantine",
    Column("id", BigInteger, Identity(), primary_key=True),
    Column("batch", BigInteger, ForeignKey("batch.number"), nullable=False),
    Column("row", BigInteger, nullable=False, comment="1-based data row in the delivery"),
    Column("column", Text),
    Column("value", Text),
    Column("code", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("raw", Text, nullable=False, comment="the row as sent: JSON of its columns, or the line itself"),
    Column("parsed", Boolean, nullable=False, comment="raw is JSON of columns"),
    Index("quarantine_batch_row_idx", "batch", "row"),
)
quarantine_replay = _fact(
    "quarantine_replay",
    Column("quarantine_id", BigInteger, ForeignKey("quarantine.id"), primary_key=True),
    Column("batch", BigInteger, ForeignKey("batch.number"), nullable=False),
)
landing_file = _work(
    "landing_file",
    Column("url", Text, primary_key=True),
    Column("etag", Text, nullable=False, comment="size and modification time, or the store's etag"),
    Column("batch", BigInteger),
    Column("error", Text),
    Column("seen_at", INSTANT, nullable=False),
)
watermark = _fact(
    "watermark",
    Column("id", BigInteger, Identity(), primary_key=True),
    Column("source", Text, nullable=False),
    Column("instant", INSTANT, nullable=False),
    Column("recorded_at", INSTANT, nullable=False),
    Column("actor", Text, nullable=False),
)

# --- metering and rating: results per customer and period, computed again whenever something is dirty ------------
period_bucket = _work(
    "period_bucket",
    Column("period", Date, primary_key=True),
    Column("bucket", SmallInteger, primary_key=True),
    Column("through_batch", BigInteger, nullable=False, server_default="0"),
    Column("through_change", BigInteger, nullable=False, server_default="0"),
    Column("closed", Boolean, nullable=False, server_default=text("false"), comment="invoiced at or after its end"),
)
customer_period = _work(
    "customer_period",
    Column("period", Date, primary_key=True),
    Column("customer", Integer, ForeignKey("customer.code"), primary_key=True),
    Column("bucket", SmallInteger, nullable=False),
    Column("terms", Text, nullable=False, comment="fingerprint of the catalog entries that price this customer"),
    Column("pending", Text, CheckConstraint("pending in ('rate', 'invoice')", name="stage"), comment="next stage"),
    Column("batches", ARRAY(BigInteger), nullable=False, comment="why: batches not yet invoiced"),
    Column("changes", ARRAY(BigInteger), nullable=False, comment="why: catalog changes not yet invoiced"),
    Index("customer_period_pending_idx", "period", "bucket", postgresql_where=text("pending is not null")),
)
late_usage = _work(
    "late_usage",
    Column("period", Date, primary_key=True),
    Column("customer", Integer, primary_key=True),
    Column("batch", BigInteger, primary_key=True, comment="received at or after the cutoff of one of its documents"),
    Column("settled_by", Uuid, comment="the final document that carries the difference it made"),
    Index("late_usage_customer_idx", "customer"),
)
revisit = _work(
    "revisit",
    Column("id", BigInteger, Identity(), primary_key=True),
    Column("period", Date, nullable=False, comment="whose documents are to be computed again"),
    Column("customer", Integer, nullable=False),
    Column("batch", BigInteger, comment="late usage of an earlier period; null: another document became final"),
    Index("revisit_period_customer_idx", "period", "customer"),
)
not_billable = _work(
    "not_billable",
    Column("period", Date, nullable=False),
    Column("customer", Integer, nullable=False),
    Column("document", Uuid, nullable=False, comment="the final document that holds the price's line"),
    Column("subscription", Text, nullable=False),
    Column("price", Text, nullable=False),
    Column("dimensions", JSONB, nullable=False),
    Column("quantity", QUANTITY, nullable=False, comment="known now, less what was billed"),
    Column("reason", Text, nullable=False),
    Index("not_billable_period_customer_idx", "period", "customer"),
)
usage_count = _work(
    "usage_count",
    Column("period", Date, primary_key=True),
    Column("customer", Integer, primary_key=True),
    Column("meter", SmallInteger, primary_key=True),
    Column("landed", BigInteger, nullable=False),
    Column("accepted", BigInteger, nullable=False),
    Column("superseded", BigInteger, nullable=False),
    Column("retracted", BigInteger, nullable=False),
    Column("unpriced", BigInteger, nullable=False),
    Column("pending", BigInteger, nullable=False, comment="stops of sessions whose start is not known"),
)
metered_quantity = _work(
    "metered_quantity",
    Column("period", Date, nullable=False),
    Column("customer", Integer, nullable=False),
    Column("subscription", Text, nullable=False),
    Column("phase_start", INSTANT, nullable=False),
    Column("price", Text, nullable=False),
    Column("start", INSTANT, nullable=False),
    Column("cut", INSTANT, nullable=False, comment="the quantity counts usage of [start, cut)"),
    Column("dimensions", JSONB, nullable=False),
    Column("quantity", QUANTITY, nullable=False),
    Column("events", BigInteger, nullable=False),
    Column("provisional", BigInteger, nullable=False, comment="sessions that are open at the cut, or now"),
    Column("counted_to", INSTANT, comment="what lasts counts to this instant, which was now; null: it is complete"),
    Column("measures", ARRAY(Numeric), comment="for prices of single events: their values in order, or their sum"),
    Index("metered_quantity_period_customer_idx", "period", "customer"),
)
rated_line = _work(
    "rated_line",
    Column("period", Date, nullable=False),
    Column("customer", Integer, nullable=False),
    Column("kind", Text, nullable=False),
    Column("subscription", Text),
    Column("plan", Text),
    Column("plan_version", Integer),
    Column("price", Text),
    Column("product", Text),
    Column("description", Text, nullable=False),
    Column("service_start", Date),
    Column("service_end", Date),
    Column("dimensions", JSONB, nullable=False),
    Column("quantity", QUANTITY),
    Column("amount_minor", MINOR, nullable=False),
    Column("phase_start", INSTANT),
    Column("start", INSTANT, comment="the instant from which its usage, or what a fee pays for, counts"),
    Index("rated_line_period_customer_idx", "period", "customer"),
)

# --- documents ---------------------------------------------------------------------------------------------------
document = _fact(
    "document",
    Column("id", Uuid, primary_key=True, comment="made from its identity: the same document always has the same id"),
    Column("customer", Integer, ForeignKey("customer.code"), nullable=False),
    Column("kind", Text, nullable=False),
    Column("period", Date, nullable=False),
    Column("issue_date", Date, nullable=False),
    Column("window_end", INSTANT, comment="of an on-demand document"),
    Column("reissue", SmallInteger, nullable=False, server_default="0", comment="how often issued again"),
    Column("bucket", SmallInteger, nullable=False),
    Column("currency", Text, nullable=False),
    UniqueConstraint(
        "customer", "kind", "period", "issue_date", "window_end", "reissue", postgresql_nulls_not_distinct=True
    ),
    Index("document_period_bucket_idx", "period", "bucket"),
    Index("document_customer_idx", "customer"),
)


def _version_columns() -> list[Column[Any]]:
    """What one computed state of a document says; drafts and versions have the same columns."""
    return [
        Column("lock_at", INSTANT, nullable=False),
        Column("subtotal_minor", MINOR, nullable=False),
        Column("credits_applied_minor", MINOR, nullable=False),
        Column("tax_minor", MINOR, nullable=False),
        Column("total_minor", MINOR, nullable=False),
        Column("customer_credit_applied_minor", MINOR, nullable=False),
        Column("amount_due_minor", MINOR, nullable=False),
        Column("has_usage", Boolean, nullable=False, comment="prices in force, not events received, decide"),
        Column("covers", JSONB, nullable=False, comment="the prices whose usage this document bills"),
        Column("content", Text, nullable=False, comment="sha256 of the lines, totals and lock_at"),
        Column("as_of_batch", BigInteger, nullable=False),
        Column("as_of_change", BigInteger, nullable=False),
        Column("recorded_at", INSTANT, nullable=False),
        Column("reason", JSONB, nullable=False, comment="why it differs from the version before"),
        Column("code_version", Text, nullable=False),
    ]


def _line_columns() -> list[Column[Any]]:
    return [
        Column("line", Integer, primary_key=True, autoincrement=False),
        Column("kind", Text, nullable=False),
        Column("subscription", Text),
        Column("plan", Text),
        Column("plan_version", Integer),
        Column("price", Text),
        Column("product", Text),
        Column("description", Text, nullable=False),
        Column("service_start", Date),
        Column("service_end", Date),
        Column("dimensions", JSONB, nullable=False),
        Column("quantity", QUANTITY),
        Column("amount_minor", MINOR, nullable=False),
        Column("adjusts", Text),
        Column("phase_start", INSTANT, comment="of the subscription's phase that is priced"),
        Column("start", INSTANT, comment="the instant from which its usage, or what a fee pays for, counts"),
        Column("adjusts_document", Uuid, comment="the final document that an adjustment or a credit note corrects"),
    ]


draft_document = _work(
    "draft_document",
    Column("document", Uuid, ForeignKey("document.id"), primary_key=True),
    *_version_columns(),
)
draft_line = _work(
    "draft_line",
    Column("document", Uuid, primary_key=True),
    *_line_columns(),
)
document_version = _fact(
    "document_version",
    Column("document", Uuid, ForeignKey("document.id"), primary_key=True),
    Column("version", Integer, primary_key=True, autoincrement=False),
    *_version_columns(),
    Column(
        "transaction",
        Text,
        nullable=False,
        server_default=text("pg_current_xact_id()::text"),
        comment="lines are accepted only in the transaction that wrote the version",
    ),
    Index(
        "document_version_credit_idx",
        "document",
        postgresql_where=text("total_minor < 0 or customer_credit_applied_minor <> 0"),
    ),
)
_VERSION, _OF_VERSION = ["document", "version"], ["document_version.document", "document_version.version"]
document_line = _fact(
    "document_line",
    Column("document", Uuid, primary_key=True),
    Column("version", Integer, primary_key=True, autoincrement=False),
    *_line_columns(),
    ForeignKeyConstraint(_VERSION, _OF_VERSION, name="document_line_version_fkey"),
    Index(
        "document_line_adjusts_document_idx",
        "adjusts_document",
        postgresql_where=text("adjusts_document is not null"),
    ),
)
finalization = _fact(
    "finalization",
    Column("document", Uuid, ForeignKey("document.id"), primary_key=True),
    Column("version", Integer, nullable=False),
    Column("number", Text, unique=True, comment="null: no lines, so not issued"),
    Column("cutoff", INSTANT, nullable=False),
    Column("batch", BigInteger, nullable=False, comment="the last one received before the cutoff"),
    Column("change", BigInteger, nullable=False, comment="the last catalog change recorded before the cutoff"),
    Column("terms", Text, nullable=False, comment="fingerprint of the customer's terms as known then"),
    Column("finalized_at", INSTANT, nullable=False),
    Column("fingerprint", Text, nullable=False, comment="sha256 over its inputs: files, catalog terms, code"),
    Column("inputs", Text, ForeignKey("input_set.fingerprint"), nullable=False),
    Column("actor", Text, nullable=False),
    Index("finalization_cutoff_idx", "cutoff"),
    ForeignKeyConstraint(_VERSION, _OF_VERSION, name="finalization_version_fkey"),
)
input_set = _fact(
    "input_set",
    Column("fingerprint", Text, primary_key=True),
    Column("content", JSONB, nullable=False, comment="the usage files: path, sha256"),
)
number_counter = _state(
    "number_counter",
    Column("year", Integer, primary_key=True, autoincrement=False),
    Column("last", BigInteger, nullable=False),
)
document_void = _fact(
    "document_void",
    Column("document", Uuid, ForeignKey("document.id"), primary_key=True),
    Column("voided_at", INSTANT, nullable=False),
    Column("actor", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("replaced_by", Uuid, ForeignKey("document.id"), comment="its reissue; null: what it billed is waived"),
)
credit_note = _fact(
    "credit_note",
    Column("document", Uuid, ForeignKey("document.id"), primary_key=True),
    Column("credits", Uuid, ForeignKey("document.id"), nullable=False, comment="the document that it lowers"),
    Column("correction", Boolean, nullable=False, comment="lowers what counts as billed; else it is goodwill"),
    Column("reason", Text, nullable=False),
    Column("actor", Text, nullable=False),
)

# --- payments ----------------------------------------------------------------------------------------------------
payment = _state(
    "payment",
    Column("document", Uuid, ForeignKey("document.id"), primary_key=True),
    Column("gateway", Text, nullable=False),
    Column("collection", Text, nullable=False),
    Column("amount_minor", MINOR, nullable=False),
    Column("status", Text, nullable=False),
    Column("reference", Text, comment="the gateway's own id"),
    Column("attempts", Integer, nullable=False, server_default="0"),
    Column("next_attempt_at", INSTANT),
    Column("updated_at", INSTANT, nullable=False),
    Index("payment_status_next_attempt_at_idx", "status", "next_attempt_at"),
)
payment_event = _fact(
    "payment_event",
    Column("id", BigInteger, Identity(), primary_key=True),
    Column("document", Uuid, ForeignKey("document.id"), nullable=False, index=True),
    Column("status", Text, nullable=False),
    Column("at", INSTANT, nullable=False),
    Column("actor", Text, nullable=False),
    Column("note", Text, nullable=False),
)

# --- checks, holds, and what ran ---------------------------------------------------------------------------------
check_result = _fact(
    "check_result",
    Column("id", BigInteger, Identity(), primary_key=True),
    Column("period", Date, nullable=False),
    Column("name", Text, nullable=False),
    Column("ran_at", INSTANT, nullable=False),
    Column("severity", Text, nullable=False, comment="error or warning"),
    Column("outcome", Text, nullable=False, comment="passed, failed or error (could not be computed)"),
    Column("summary", Text, nullable=False),
    Column("details", JSONB, nullable=False),
    Column("question", Text, comment="fingerprint of all that the outcome hangs on; null where none was found"),
    Index("check_result_period_name_id_idx", "period", "name", "id"),
    Index("check_result_question_idx", "question"),
)
hold = _fact(
    "hold",
    Column("id", BigInteger, Identity(), primary_key=True),
    Column("customer", Integer, ForeignKey("customer.code"), nullable=False),
    Column("period", Date, nullable=False),
    Column("cause", Text, nullable=False, comment="the check's name, or 'manual'"),
    Column("reason", Text, nullable=False),
    Column("created_at", INSTANT, nullable=False),
    Column("actor", Text, nullable=False),
    Index("hold_period_customer_idx", "period", "customer"),
)
hold_release = _fact(
    "hold_release",
    Column("hold", BigInteger, ForeignKey("hold.id"), primary_key=True),
    Column("released_at", INSTANT, nullable=False),
    Column("actor", Text, nullable=False),
    Column("reason", Text, nullable=False),
)
stage_run = _fact(
    "stage_run",
    Column("id", BigInteger, Identity(), primary_key=True),
    Column("period", Date, nullable=False),
    Column("stage", Text, nullable=False),
    Column("at", INSTANT, nullable=False),
    Column("seconds", Float, nullable=False),
    Column("through_batch", BigInteger, nullable=False),
    Column("counts", JSONB, nullable=False),
    Column("actor", Text, nullable=False),
    Index("stage_run_period_stage_id_idx", "period", "stage", "id"),
)
