-- Tables are described in billing_pipeline/ledger/tables.py; a test compares the two.

CREATE TABLE on_demand_window (
    customer INTEGER NOT NULL,
    window_end TIMESTAMP WITH TIME ZONE NOT NULL,
    batch BIGINT NOT NULL,
    change BIGINT NOT NULL,
    document UUID,
    recorded_at TIMESTAMP WITH TIME ZONE NOT NULL,
    actor TEXT NOT NULL,
    transaction TEXT DEFAULT pg_current_xact_id()::text NOT NULL,
    CONSTRAINT on_demand_window_pkey PRIMARY KEY (customer, window_end),
    CONSTRAINT on_demand_window_customer_fkey FOREIGN KEY (customer) REFERENCES customer (code),
    CONSTRAINT on_demand_window_document_fkey FOREIGN KEY (document) REFERENCES finalization (document)
        DEFERRABLE INITIALLY DEFERRED,
    CONSTRAINT on_demand_window_hour_check CHECK (extract(epoch FROM window_end)::bigint % 3600 = 0)
);
CREATE INDEX on_demand_window_end_idx ON on_demand_window (window_end);
COMMENT ON COLUMN on_demand_window.batch IS 'the last one received before its end';
COMMENT ON COLUMN on_demand_window.change IS 'the catalog change by which it was rated';
COMMENT ON COLUMN on_demand_window.document IS 'null: nothing was to be invoiced';
COMMENT ON COLUMN on_demand_window.transaction IS 'its quantities are accepted only in the transaction that wrote it';

CREATE TABLE on_demand_quantity (
    customer INTEGER NOT NULL,
    window_end TIMESTAMP WITH TIME ZONE NOT NULL,
    subscription TEXT NOT NULL,
    phase_start TIMESTAMP WITH TIME ZONE NOT NULL,
    price TEXT NOT NULL,
    dimensions JSONB NOT NULL,
    phase_end TIMESTAMP WITH TIME ZONE,
    quantity NUMERIC NOT NULL,
    due NUMERIC NOT NULL,
    invoiced_minor NUMERIC(30, 0) NOT NULL,
    memory JSONB NOT NULL,
    CONSTRAINT on_demand_quantity_pkey PRIMARY KEY (customer, subscription, phase_start, price, dimensions, window_end),
    CONSTRAINT on_demand_quantity_window_fkey FOREIGN KEY (customer, window_end)
        REFERENCES on_demand_window (customer, window_end)
);
COMMENT ON COLUMN on_demand_quantity.phase_end IS 'usage before it was counted; null: the phase had no end';
COMMENT ON COLUMN on_demand_quantity.quantity IS 'cumulative over the phase, in the meter''s unit';
COMMENT ON COLUMN on_demand_quantity.due IS 'the exact amount of all of it';
COMMENT ON COLUMN on_demand_quantity.invoiced_minor IS 'the rounded lines of all windows so far, this one''s too';
COMMENT ON COLUMN on_demand_quantity.memory IS 'what the price model goes on with';

CREATE TABLE on_demand_due (
    customer INTEGER NOT NULL,
    window_end TIMESTAMP WITH TIME ZONE NOT NULL,
    bucket SMALLINT NOT NULL,
    waits_for TEXT,
    CONSTRAINT on_demand_due_pkey PRIMARY KEY (customer, window_end)
);
CREATE INDEX on_demand_due_bucket_idx ON on_demand_due (bucket, window_end);
COMMENT ON COLUMN on_demand_due.waits_for IS 'why it was not processed when it was looked at last';

CREATE TABLE on_demand_progress (
    bucket SMALLINT NOT NULL,
    through_batch BIGINT NOT NULL,
    through_change BIGINT NOT NULL,
    CONSTRAINT on_demand_progress_pkey PRIMARY KEY (bucket)
);

GRANT SELECT, INSERT ON on_demand_window, on_demand_quantity TO billing_app;
GRANT SELECT, INSERT, UPDATE, DELETE ON on_demand_due, on_demand_progress TO billing_app;

DO $$
DECLARE kept text;
BEGIN
    FOREACH kept IN ARRAY ARRAY['on_demand_window', 'on_demand_quantity'] LOOP
        EXECUTE format(
            'CREATE TRIGGER what_is_written_stays BEFORE UPDATE OR DELETE OR TRUNCATE ON %I '
            'FOR EACH STATEMENT EXECUTE FUNCTION refuse_rewriting()', kept
        );
    END LOOP;
END $$;

-- A window belongs to a document on demand, and no other document has one.
ALTER TABLE document ADD CONSTRAINT document_window_end_check
    CHECK ((kind = 'on_demand') = (window_end IS NOT NULL));

CREATE OR REPLACE VIEW final_document AS
SELECT d.id, d.customer, d.kind, d.period, d.issue_date, d.reissue, d.bucket, d.currency,
       f.version, f.number, f.cutoff, f.finalized_at, f.batch, f.change, f.terms,
       v.lock_at, v.has_usage, v.covers, v.total_minor, v.customer_credit_applied_minor, d.window_end
FROM document AS d
JOIN finalization AS f ON f.document = d.id
JOIN document_version AS v ON v.document = f.document AND v.version = f.version;

-- A customer's windows are processed one after the other, each once it is over, and each knows all that was received
-- before its end. Who processes one has the customer's bucket.
CREATE FUNCTION refuse_window_out_of_order() RETURNS trigger LANGUAGE plpgsql
    SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    PERFORM refuse_older_snapshot();
    PERFORM FROM on_demand_progress
    WHERE bucket IN (SELECT c.bucket FROM added AS a JOIN customer AS c ON c.code = a.customer)
    ORDER BY bucket FOR UPDATE;
    IF EXISTS (
        SELECT FROM added AS a JOIN on_demand_window AS w ON w.customer = a.customer AND w.window_end > a.window_end
    ) THEN
        RAISE EXCEPTION 'a later window of the customer is processed already' USING ERRCODE = 'restrict_violation';
    END IF;
    IF EXISTS (SELECT FROM added WHERE window_end > recorded_at OR recorded_at > ledger_now()) THEN
        RAISE EXCEPTION 'a window is processed once it is over, and not later than now'
            USING ERRCODE = 'restrict_violation';
    END IF;
    IF EXISTS (
        SELECT FROM added AS a
        WHERE a.batch <> coalesce((SELECT max(number) FROM batch AS b WHERE b.received_at < a.window_end), 0)
    ) THEN
        RAISE EXCEPTION 'a window holds all that was received before its end' USING ERRCODE = 'restrict_violation';
    END IF;
    IF EXISTS (SELECT FROM added WHERE transaction <> pg_current_xact_id()::text) THEN
        RAISE EXCEPTION 'a window names the transaction that writes it' USING ERRCODE = 'restrict_violation';
    END IF;
    IF EXISTS (
        SELECT FROM added AS a JOIN document AS d ON d.id = a.document
        WHERE d.customer <> a.customer OR d.window_end IS DISTINCT FROM a.window_end OR d.reissue <> 0
    ) THEN
        RAISE EXCEPTION 'a window names its own document' USING ERRCODE = 'restrict_violation';
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER windows_move_forward AFTER INSERT ON on_demand_window
    REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION refuse_window_out_of_order();

-- What a window leaves a phase at comes with it, and invoices what its document says for that price and combination.
CREATE FUNCTION refuse_late_quantities() RETURNS trigger LANGUAGE plpgsql
    SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    IF EXISTS (
        SELECT FROM added AS a LEFT JOIN on_demand_window AS w USING (customer, window_end)
        WHERE w.transaction IS DISTINCT FROM pg_current_xact_id()::text
    ) THEN
        RAISE EXCEPTION 'quantities can only be added together with their window' USING ERRCODE = 'restrict_violation';
    END IF;
    IF EXISTS (
        SELECT FROM added AS a JOIN on_demand_window AS w USING (customer, window_end)
        CROSS JOIN LATERAL (
            SELECT coalesce((
                SELECT q.invoiced_minor FROM on_demand_quantity AS q
                WHERE (q.customer, q.subscription, q.phase_start, q.price, q.dimensions)
                    = (a.customer, a.subscription, a.phase_start, a.price, a.dimensions)
                AND q.window_end < a.window_end ORDER BY q.window_end DESC LIMIT 1
            ), 0) AS before, coalesce((
                SELECT sum(l.amount_minor) FROM document_line AS l
                WHERE l.document = w.document AND l.version = 1 AND l.kind = 'usage'
                AND (l.subscription, l.phase_start, l.price, l.dimensions)
                    = (a.subscription, a.phase_start, a.price, a.dimensions)
            ), 0) AS billed
        ) AS so_far
        WHERE a.invoiced_minor <> so_far.before + so_far.billed
    ) THEN
        RAISE EXCEPTION 'a window invoices what its document says' USING ERRCODE = 'restrict_violation';
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER quantities_come_with_their_window AFTER INSERT ON on_demand_quantity
    REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION refuse_late_quantities();

-- Nothing is received or recorded inside a window that was processed, as nothing is before a cutoff.
CREATE OR REPLACE FUNCTION refuse_batch_out_of_order() RETURNS trigger LANGUAGE plpgsql
    SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    newest bigint;
    earliest timestamptz;
BEGIN
    PERFORM refuse_older_snapshot();
    PERFORM pg_advisory_xact_lock(hashtextextended('arrival', 0));
    SELECT coalesce(max(number), 0), greatest(
        max(received_at), (SELECT max(cutoff) FROM finalization), (SELECT max(window_end) FROM on_demand_window)
    )
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

CREATE OR REPLACE FUNCTION refuse_change_out_of_order() RETURNS trigger LANGUAGE plpgsql
    SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    newest bigint;
    earliest timestamptz;
BEGIN
    PERFORM refuse_older_snapshot();
    PERFORM pg_advisory_xact_lock(hashtextextended('catalog', 0));
    SELECT coalesce(max(number), 0), greatest(
        max(recorded_at), (SELECT max(cutoff) FROM finalization), (SELECT max(window_end) FROM on_demand_window)
    )
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
