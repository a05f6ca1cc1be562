-- Each promise is kept here for the application's role and for the owner alike: by triggers, which only who takes them
-- away goes past. Their functions read the catalog and this schema before anybody's temporary tables.

-- A statement that reads as of an older moment would not see what became final since.
CREATE FUNCTION refuse_older_snapshot() RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    IF current_setting('transaction_isolation') <> 'read committed' THEN
        RAISE EXCEPTION 'facts are written in READ COMMITTED transactions only, not in %',
            upper(current_setting('transaction_isolation'))
            USING ERRCODE = 'restrict_violation', HINT = 'An older snapshot does not see what has become final.';
    END IF;
END $$;

-- Who writes the states of documents has their buckets, as every run does: what is being made final meanwhile is seen.
CREATE FUNCTION take_buckets(documents uuid[]) RETURNS void LANGUAGE plpgsql
    SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    PERFORM refuse_older_snapshot();
    PERFORM FROM period_bucket
    WHERE (period, bucket) IN (SELECT d.period, d.bucket FROM document AS d WHERE d.id = ANY(documents))
    ORDER BY period, bucket FOR UPDATE;
END $$;

-- A version's lines come with it, in one transaction, before it is final, or never.
CREATE OR REPLACE FUNCTION refuse_late_lines() RETURNS trigger LANGUAGE plpgsql
    SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    IF EXISTS (
        SELECT FROM (SELECT DISTINCT document, version FROM added) AS l
        LEFT JOIN document_version AS v USING (document, version)
        LEFT JOIN finalization AS f USING (document)
        WHERE v.transaction IS DISTINCT FROM pg_current_xact_id()::text OR f.document IS NOT NULL
    ) THEN
        RAISE EXCEPTION 'lines can only be added together with their document version'
            USING ERRCODE = 'restrict_violation', HINT = 'Issue a credit note, or bill the difference later.';
    END IF;
    RETURN NULL;
END $$;

-- A version says itself in which transaction it was written; nobody may claim another. None is left out.
CREATE OR REPLACE FUNCTION refuse_versions_of_finalized() RETURNS trigger LANGUAGE plpgsql
    SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    PERFORM take_buckets(ARRAY(SELECT document FROM added));
    IF EXISTS (SELECT FROM added JOIN finalization AS f USING (document)) THEN
        RAISE EXCEPTION 'a finalized document gets no further version'
            USING ERRCODE = 'restrict_violation', HINT = 'Issue a credit note, or bill the difference later.';
    END IF;
    IF EXISTS (SELECT FROM added WHERE transaction <> pg_current_xact_id()::text) THEN
        RAISE EXCEPTION 'a document version names the transaction that writes it' USING ERRCODE = 'restrict_violation';
    END IF;
    IF EXISTS (
        SELECT FROM added AS a WHERE a.version <> 1 AND NOT EXISTS (
            SELECT FROM document_version AS v WHERE v.document = a.document AND v.version = a.version - 1
        )
    ) THEN
        RAISE EXCEPTION 'a document''s versions are numbered one by one' USING ERRCODE = 'restrict_violation';
    END IF;
    RETURN NULL;
END $$;

-- From its first version on a document has no draft: never both.
CREATE OR REPLACE FUNCTION refuse_drafts_beside_versions() RETURNS trigger LANGUAGE plpgsql
    SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    PERFORM take_buckets(ARRAY(SELECT document FROM added));
    IF EXISTS (SELECT FROM added JOIN document_version AS v USING (document)) THEN
        RAISE EXCEPTION 'a document that has versions gets no draft' USING ERRCODE = 'restrict_violation';
    END IF;
    RETURN NULL;
END $$;

-- What the clock says. Of a real ledger it is the machine's, and not before a cutoff that has passed.
CREATE FUNCTION ledger_now() RETURNS timestamptz LANGUAGE sql SET search_path = pg_catalog, public, pg_temp AS $$
    SELECT coalesce(sandbox_now, greatest(clock_timestamp(), (SELECT max(cutoff) FROM finalization))) FROM ledger
$$;

-- What becomes final is what a document says now, as of a cutoff that has passed: one to come would move the clock.
CREATE FUNCTION refuse_older_finalization() RETURNS trigger LANGUAGE plpgsql
    SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    PERFORM take_buckets(ARRAY(SELECT document FROM added));
    IF EXISTS (SELECT FROM added AS f JOIN document_version AS v USING (document) WHERE v.version > f.version) THEN
        RAISE EXCEPTION 'a document becomes final in its newest version' USING ERRCODE = 'restrict_violation';
    END IF;
    IF EXISTS (SELECT FROM added WHERE cutoff > finalized_at) OR EXISTS (
        SELECT FROM added, ledger AS l WHERE finalized_at > coalesce(l.sandbox_now, clock_timestamp())
        AND (l.sandbox_now IS NOT NULL OR finalized_at > (  -- where the machine's clock was put back
            SELECT f.cutoff FROM finalization AS f WHERE f.document NOT IN (SELECT document FROM added)
            ORDER BY f.cutoff DESC LIMIT 1
        )) IS NOT FALSE
    ) THEN
        RAISE EXCEPTION 'nothing is final before its cutoff, or later than now' USING ERRCODE = 'restrict_violation';
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER final_is_the_newest_version AFTER INSERT ON finalization
    REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION refuse_older_finalization();

-- Only what is final can be void, or be lowered by a credit note.
ALTER TABLE document_void ADD CONSTRAINT document_void_final_fkey
    FOREIGN KEY (document) REFERENCES finalization (document);
ALTER TABLE credit_note ADD CONSTRAINT credit_note_credits_final_fkey
    FOREIGN KEY (credits) REFERENCES finalization (document);

-- A void follows what it voids, and a release the hold that it ends.
CREATE FUNCTION refuse_earlier_void() RETURNS trigger LANGUAGE plpgsql
    SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    IF NEW.voided_at < (SELECT finalized_at FROM finalization WHERE document = NEW.document) THEN
        RAISE EXCEPTION 'a document is not void before it is final' USING ERRCODE = 'restrict_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER voids_come_after BEFORE INSERT ON document_void FOR EACH ROW EXECUTE FUNCTION refuse_earlier_void();

CREATE FUNCTION refuse_earlier_release() RETURNS trigger LANGUAGE plpgsql
    SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    IF EXISTS (SELECT FROM added AS r JOIN hold AS h ON h.id = r.hold WHERE r.released_at < h.created_at) THEN
        RAISE EXCEPTION 'a hold is not released before it holds' USING ERRCODE = 'restrict_violation';
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER releases_come_after AFTER INSERT ON hold_release
    REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION refuse_earlier_release();

-- A batch's files and a change's entries come with it, in one transaction: what was known before a cutoff stays so.
ALTER TABLE batch ADD COLUMN transaction TEXT DEFAULT pg_current_xact_id()::text NOT NULL;
ALTER TABLE catalog_change ADD COLUMN transaction TEXT DEFAULT pg_current_xact_id()::text NOT NULL;
COMMENT ON COLUMN batch.transaction IS 'its files and rows are accepted only in the transaction that wrote it';
COMMENT ON COLUMN catalog_change.transaction IS 'its entries are accepted only in the transaction that wrote it';

-- Whom a file is about, for when it cannot be read any more.
ALTER TABLE lake_file ADD COLUMN customers INTEGER[];
COMMENT ON COLUMN lake_file.customers IS 'codes of the customers it has events of; null: an earlier version kept none';

CREATE FUNCTION refuse_late_parts_of_batch() RETURNS trigger LANGUAGE plpgsql
    SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    IF EXISTS (
        SELECT FROM (SELECT DISTINCT batch FROM added) AS a LEFT JOIN batch AS b ON b.number = a.batch
        WHERE b.transaction IS DISTINCT FROM pg_current_xact_id()::text
    ) THEN
        RAISE EXCEPTION 'rows of % can only be added together with their batch', TG_TABLE_NAME
            USING ERRCODE = 'restrict_violation', HINT = 'Land what is missing as a batch of its own.';
    END IF;
    RETURN NULL;
END $$;
DO $$
DECLARE part text;
BEGIN
    FOREACH part IN ARRAY ARRAY['batch_period', 'lake_file', 'quarantine', 'quarantine_replay', 'snapshot_delivery']
    LOOP
        EXECUTE format(
            'CREATE TRIGGER parts_come_with_their_batch AFTER INSERT ON %I REFERENCING NEW TABLE AS added '
            'FOR EACH STATEMENT EXECUTE FUNCTION refuse_late_parts_of_batch()', part
        );
    END LOOP;
END $$;

CREATE FUNCTION refuse_late_entries() RETURNS trigger LANGUAGE plpgsql
    SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    IF EXISTS (
        SELECT FROM (SELECT DISTINCT change FROM added) AS a LEFT JOIN catalog_change AS c ON c.number = a.change
        WHERE c.transaction IS DISTINCT FROM pg_current_xact_id()::text
    ) THEN
        RAISE EXCEPTION 'catalog entries can only be added together with their change'
            USING ERRCODE = 'restrict_violation', HINT = 'Record what differs as a change of its own.';
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER entries_come_with_their_change AFTER INSERT ON catalog_entry
    REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION refuse_late_entries();

-- Batches and changes are numbered one by one, in the order of their instants, and none comes before a cutoff that has
-- passed. The locks are the program's own (lock_key): whoever adds one waits for who is adding one.
CREATE FUNCTION refuse_batch_out_of_order() RETURNS trigger LANGUAGE plpgsql
    SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    newest bigint;
    earliest timestamptz;
BEGIN
    PERFORM refuse_older_snapshot();
    PERFORM pg_advisory_xact_lock(hashtextextended('arrival', 0));
    SELECT coalesce(max(number), 0), greatest(max(received_at), (SELECT max(cutoff) FROM finalization))
        INTO newest, earliest FROM batch;
    IF NEW.number <> newest + 1 THEN
        RAISE EXCEPTION 'the next batch is %, not %', newest + 1, NEW.number USING ERRCODE = 'restrict_violation';
    END IF;
    IF NEW.received_at < earliest THEN
        RAISE EXCEPTION 'nothing is received before %, when others were received or locked', earliest
            USING ERRCODE = 'restrict_violation';
    END IF;
    IF NEW.received_at > greatest(ledger_now(), earliest) THEN
        RAISE EXCEPTION 'nothing is received in the future' USING ERRCODE = 'restrict_violation';
    END IF;
    IF NEW.transaction <> pg_current_xact_id()::text THEN
        RAISE EXCEPTION 'a batch names the transaction that writes it' USING ERRCODE = 'restrict_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER batches_move_forward BEFORE INSERT ON batch
    FOR EACH ROW EXECUTE FUNCTION refuse_batch_out_of_order();

CREATE FUNCTION refuse_change_out_of_order() RETURNS trigger LANGUAGE plpgsql
    SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    newest bigint;
    earliest timestamptz;
BEGIN
    PERFORM refuse_older_snapshot();
    PERFORM pg_advisory_xact_lock(hashtextextended('catalog', 0));
    SELECT coalesce(max(number), 0), greatest(max(recorded_at), (SELECT max(cutoff) FROM finalization))
        INTO newest, earliest FROM catalog_change;
    IF NEW.number <> newest + 1 THEN
        RAISE EXCEPTION 'the next change is %, not %', newest + 1, NEW.number USING ERRCODE = 'restrict_violation';
    END IF;
    IF NEW.recorded_at < earliest THEN
        RAISE EXCEPTION 'nothing is recorded before %, when others were recorded or locked', earliest
            USING ERRCODE = 'restrict_violation';
    END IF;
    IF NEW.recorded_at > greatest(ledger_now(), earliest) THEN
        RAISE EXCEPTION 'nothing is recorded in the future' USING ERRCODE = 'restrict_violation';
    END IF;
    IF NEW.transaction <> pg_current_xact_id()::text THEN
        RAISE EXCEPTION 'a change names the transaction that writes it' USING ERRCODE = 'restrict_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER changes_move_forward BEFORE INSERT ON catalog_change
    FOR EACH ROW EXECUTE FUNCTION refuse_change_out_of_order();

CREATE FUNCTION refuse_watermark_back() RETURNS trigger LANGUAGE plpgsql
    SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    PERFORM refuse_older_snapshot();
    PERFORM pg_advisory_xact_lock(hashtextextended('watermark ' || NEW.source, 0));
    IF EXISTS (
        SELECT FROM watermark WHERE source = NEW.source
        AND (instant >= NEW.instant OR recorded_at > NEW.recorded_at)
    ) THEN
        RAISE EXCEPTION 'the watermark of % only moves forward', NEW.source USING ERRCODE = 'restrict_violation';
    END IF;
    IF NEW.recorded_at > ledger_now() THEN
        RAISE EXCEPTION 'nothing is recorded in the future' USING ERRCODE = 'restrict_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER watermarks_move_forward BEFORE INSERT ON watermark
    FOR EACH ROW EXECUTE FUNCTION refuse_watermark_back();

CREATE FUNCTION refuse_counter_back() RETURNS trigger LANGUAGE plpgsql
    SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    IF NEW.year <> OLD.year OR NEW.last < OLD.last THEN
        RAISE EXCEPTION 'the counter of % stands at % and never goes back', OLD.year, OLD.last
            USING ERRCODE = 'restrict_violation', HINT = 'A number that was given is never given again.';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER counters_move_forward BEFORE UPDATE ON number_counter
    FOR EACH ROW EXECUTE FUNCTION refuse_counter_back();
ALTER TABLE number_counter ADD CONSTRAINT number_counter_last_check CHECK (last > 0);

-- A real ledger's clock is the machine's: one that was set against this is let go. A sandbox's moves forward, nothing
-- else of a ledger moves at all.
UPDATE ledger SET sandbox_now = NULL WHERE NOT sandbox;
ALTER TABLE ledger ADD CONSTRAINT ledger_clock_check CHECK (sandbox OR sandbox_now IS NULL);
CREATE FUNCTION refuse_clock_back() RETURNS trigger LANGUAGE plpgsql
    SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    latest timestamptz := coalesce(OLD.sandbox_now, greatest(
        (SELECT max(received_at) FROM batch), (SELECT max(recorded_at) FROM catalog_change),
        (SELECT max(at) FROM stage_run), (SELECT max(cutoff) FROM finalization)
    ));
BEGIN
    IF to_jsonb(NEW) - 'sandbox_now' <> to_jsonb(OLD) - 'sandbox_now' THEN
        RAISE EXCEPTION 'a ledger keeps its calendar, buckets and kind for good' USING ERRCODE = 'restrict_violation';
    END IF;
    IF NEW.sandbox_now < latest OR (NEW.sandbox_now IS NULL AND OLD.sandbox_now IS NOT NULL) THEN
        RAISE EXCEPTION 'the clock stands at % and never goes back', latest USING ERRCODE = 'restrict_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER the_clock_moves_forward BEFORE UPDATE ON ledger
    FOR EACH ROW EXECUTE FUNCTION refuse_clock_back();

-- What a document asks for is a fact, and so is each step of its payment; where it stands is not written anywhere, but
-- follows from the steps. What a payment's row said and no step does becomes its last step.
DROP VIEW current_document;
ALTER TABLE payment RENAME TO payment_request;
ALTER TABLE payment_request RENAME CONSTRAINT payment_pkey TO payment_request_pkey;
ALTER TABLE payment_request RENAME CONSTRAINT payment_document_fkey TO payment_request_document_fkey;
ALTER TABLE payment_event ADD COLUMN reference TEXT;
ALTER TABLE payment_event ADD COLUMN next_attempt_at TIMESTAMP WITH TIME ZONE;
ALTER TABLE payment_event ADD COLUMN recorded_at TIMESTAMP WITH TIME ZONE;
COMMENT ON COLUMN payment_event.reference IS 'the gateway''s own id, from the step that brought it';
COMMENT ON COLUMN payment_event.next_attempt_at IS 'when a refused payment is tried again; null: never';
COMMENT ON COLUMN payment_event.recorded_at IS 'the ledger''s clock; what a person marks may have happened before';
INSERT INTO payment_event (document, status, at, actor, note)
    SELECT p.document, 'queued', p.updated_at, 'migration', 'carried over' FROM payment_request AS p
    WHERE NOT EXISTS (SELECT FROM payment_event AS e WHERE e.document = p.document AND e.status = 'queued');
INSERT INTO payment_event (document, status, at, actor, note)
    SELECT p.document, p.status, p.updated_at, 'migration', 'carried over' FROM payment_request AS p
    WHERE p.status <> (SELECT status FROM payment_event WHERE document = p.document ORDER BY id DESC LIMIT 1);
UPDATE payment_event SET recorded_at = at;
UPDATE payment_event AS e
    SET recorded_at = p.updated_at, next_attempt_at = p.next_attempt_at, reference = p.reference
    FROM payment_request AS p
    WHERE e.id = (SELECT max(id) FROM payment_event WHERE document = p.document);
ALTER TABLE payment_event ALTER COLUMN recorded_at SET NOT NULL;
ALTER TABLE payment_request
    DROP COLUMN status, DROP COLUMN reference, DROP COLUMN attempts, DROP COLUMN next_attempt_at, DROP COLUMN updated_at;
ALTER TABLE payment_request ADD CONSTRAINT payment_request_final_fkey
    FOREIGN KEY (document) REFERENCES finalization (document) DEFERRABLE INITIALLY DEFERRED;
ALTER TABLE payment_event ADD CONSTRAINT payment_event_request_fkey
    FOREIGN KEY (document) REFERENCES payment_request (document);
DROP INDEX payment_event_document_idx;
CREATE INDEX payment_event_document_id_idx ON payment_event (document, id DESC) INCLUDE (status);
CREATE UNIQUE INDEX payment_event_queued_key ON payment_event (document) WHERE status = 'queued';
-- What the gateway has, is paid or is not asked for: not to be delivered any more.
CREATE INDEX payment_event_delivered_idx ON payment_event (document) WHERE status IN ('submitted', 'paid', 'not_due');
-- Who moves a payment locks its row, which takes a grant to update it; that nobody does is the trigger's business.
REVOKE ALL ON payment_request FROM billing_app;
GRANT SELECT, INSERT, UPDATE (document) ON payment_request TO billing_app;

CREATE FUNCTION refuse_other_amounts() RETURNS trigger LANGUAGE plpgsql
    SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    IF EXISTS (
        SELECT FROM added AS p WHERE p.amount_minor <= 0 OR p.amount_minor IS DISTINCT FROM (
            SELECT amount_due_minor FROM document_version WHERE document = p.document ORDER BY version DESC LIMIT 1
        )
    ) THEN
        RAISE EXCEPTION 'a payment asks for its document''s amount due' USING ERRCODE = 'restrict_violation';
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER payments_are_of_the_amount_due AFTER INSERT ON payment_request
    REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION refuse_other_amounts();

CREATE FUNCTION refuse_steps_back() RETURNS trigger LANGUAGE plpgsql
    SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    PERFORM refuse_older_snapshot();
    PERFORM FROM payment_request WHERE document IN (SELECT document FROM added WHERE status <> 'queued')
        ORDER BY document FOR UPDATE;
    IF EXISTS (
        SELECT FROM added AS a WHERE a.status <> 'queued' AND NOT EXISTS (
            SELECT FROM payment_event AS e WHERE e.document = a.document AND e.status = 'queued' AND e.id < a.id
        )
    ) THEN
        RAISE EXCEPTION 'a payment''s first step is that it is queued' USING ERRCODE = 'restrict_violation';
    END IF;
    IF EXISTS (
        SELECT FROM added AS a JOIN payment_event AS e ON e.document = a.document AND e.id <> a.id
        WHERE e.status IN ('paid', 'not_due')
    ) THEN
        RAISE EXCEPTION 'a payment that is paid, or not asked for any more, takes no further step'
            USING ERRCODE = 'restrict_violation', HINT = 'Give money back, or issue a credit note.';
    END IF;
    IF EXISTS (
        SELECT FROM added AS a JOIN payment_event AS e ON e.document = a.document AND e.id <> a.id
        WHERE e.status = 'submitted' AND a.status NOT IN ('submitted', 'paid', 'not_due')
    ) THEN
        RAISE EXCEPTION 'a payment that its gateway has is not queued or tried again'
            USING ERRCODE = 'restrict_violation';
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER payments_move_forward AFTER INSERT ON payment_event
    REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION refuse_steps_back();

-- Where each payment stands.
CREATE VIEW payment AS
SELECT p.document, p.gateway, p.collection, p.amount_minor, e.status,
       (SELECT reference FROM payment_event WHERE document = p.document AND reference IS NOT NULL
        ORDER BY id DESC LIMIT 1) AS reference,
       (SELECT count(*)::integer FROM payment_event WHERE document = p.document AND status = 'failed') AS attempts,
       e.next_attempt_at, e.recorded_at AS updated_at
FROM payment_request AS p
CROSS JOIN LATERAL (
    SELECT status, next_attempt_at, recorded_at FROM payment_event WHERE document = p.document ORDER BY id DESC LIMIT 1
) AS e;
GRANT SELECT ON payment TO billing_app;

-- Facts are written once: the application has no grant to change them, and the owner does not by mistake either. States
-- are moved, never removed. A migration that must names the trigger: ALTER TABLE … DISABLE TRIGGER what_is_written_stays.
CREATE FUNCTION refuse_rewriting() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    RAISE EXCEPTION '% of what table % keeps is refused: it is written once', TG_OP, TG_TABLE_NAME
        USING ERRCODE = 'restrict_violation', HINT = 'A correction is a new fact beside the old one.';
END $$;
DO $$
DECLARE kept text;
BEGIN
    FOREACH kept IN ARRAY ARRAY[
        'batch', 'batch_period', 'catalog_change', 'catalog_entry', 'check_result', 'credit_note', 'customer',
        'dimension', 'document', 'document_line', 'document_version', 'document_void', 'finalization', 'hold',
        'hold_release', 'input_set', 'lake_file', 'meter', 'payment_event', 'payment_request', 'quarantine',
        'quarantine_replay', 'snapshot_delivery', 'snapshot_scope', 'stage_run', 'watermark'
    ] LOOP
        EXECUTE format(
            'CREATE TRIGGER what_is_written_stays BEFORE UPDATE OR DELETE OR TRUNCATE ON %I '
            'FOR EACH STATEMENT EXECUTE FUNCTION refuse_rewriting()', kept
        );
    END LOOP;
    FOREACH kept IN ARRAY ARRAY['ledger', 'number_counter'] LOOP
        EXECUTE format(
            'CREATE TRIGGER what_is_written_stays BEFORE DELETE OR TRUNCATE ON %I '
            'FOR EACH STATEMENT EXECUTE FUNCTION refuse_rewriting()', kept
        );
    END LOOP;
END $$;

-- Rows whose order is that of their ids get them from the sequence: the application names none.
DO $$
DECLARE numbered record;
BEGIN
    FOR numbered IN
        SELECT c.table_name, string_agg(quote_ident(c.column_name), ', ') FILTER (WHERE c.is_identity = 'NO') AS given
        FROM information_schema.columns AS c WHERE c.table_schema = 'public' AND c.table_name IN (
            'check_result', 'hold', 'payment_event', 'quarantine', 'snapshot_scope', 'stage_run', 'watermark'
        ) GROUP BY c.table_name
    LOOP
        EXECUTE format('REVOKE INSERT ON %I FROM billing_app', numbered.table_name);
        EXECUTE format('GRANT INSERT (%s) ON %I TO billing_app', numbered.given, numbered.table_name);
    END LOOP;
END $$;

-- What a document says now: what is final, else its newest version, or before its period's end its draft (never both).
CREATE VIEW current_document AS
SELECT d.id, d.customer, c.id AS customer_id, d.kind, d.period, d.issue_date, d.window_end, d.reissue, d.bucket,
       d.currency,
       s.*, f.version AS final_version, f.number, f.cutoff, f.finalized_at, f.fingerprint, v.voided_at,
       CASE WHEN v.document IS NOT NULL THEN 'void' WHEN f.document IS NOT NULL THEN 'finalized' ELSE 'draft' END
           AS status,
       coalesce((SELECT e.status FROM payment_event AS e WHERE e.document = d.id ORDER BY e.id DESC LIMIT 1), 'not_due')
           AS payment_status
FROM document AS d
JOIN customer AS c ON c.code = d.customer
LEFT JOIN finalization AS f ON f.document = d.id
CROSS JOIN LATERAL (
    (SELECT version, false AS replaceable, lock_at, subtotal_minor, credits_applied_minor, tax_minor, total_minor,
            customer_credit_applied_minor, amount_due_minor, has_usage, covers, content, as_of_batch, as_of_change,
            recorded_at, reason, code_version
     FROM document_version WHERE document = d.id AND version <= coalesce(f.version, version)
     ORDER BY version DESC LIMIT 1)
    UNION ALL
    SELECT 1, true, lock_at, subtotal_minor, credits_applied_minor, tax_minor, total_minor,
           customer_credit_applied_minor, amount_due_minor, has_usage, covers, content, as_of_batch, as_of_change,
           recorded_at, reason, code_version
    FROM draft_document WHERE document = d.id AND f.document IS NULL
) AS s
LEFT JOIN document_void AS v ON v.document = d.id;
GRANT SELECT ON current_document TO billing_app;
