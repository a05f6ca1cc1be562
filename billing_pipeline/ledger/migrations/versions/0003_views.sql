-- Three questions that many queries ask, each answered in one place. They are plain joins: PostgreSQL plans a query as if
-- it had written them itself.

-- What holds now: placed, and not released.
CREATE VIEW open_hold AS
SELECT h.* FROM hold AS h WHERE NOT EXISTS (SELECT FROM hold_release AS r WHERE r.hold = h.id);

-- Documents that are not final, with their newest state. One without any is a draft that nothing called for any more
-- before its period ended.
CREATE VIEW open_document AS
SELECT d.id, d.customer, d.kind, d.period, d.issue_date, d.bucket, s.lock_at, s.has_usage
FROM document AS d
LEFT JOIN LATERAL (
    (SELECT lock_at, has_usage FROM document_version WHERE document = d.id ORDER BY version DESC LIMIT 1)
    UNION ALL
    SELECT lock_at, has_usage FROM draft_document WHERE document = d.id
) AS s ON true
WHERE NOT EXISTS (SELECT FROM finalization AS f WHERE f.document = d.id);

-- Documents that are final, void or not, in the version that is.
CREATE VIEW final_document AS
SELECT d.id, d.customer, d.kind, d.period, d.issue_date, d.reissue, d.bucket, d.currency,
       f.version, f.number, f.cutoff, f.finalized_at, f.batch, f.change, f.terms,
       v.lock_at, v.has_usage, v.covers, v.total_minor, v.customer_credit_applied_minor
FROM document AS d
JOIN finalization AS f ON f.document = d.id
JOIN document_version AS v ON v.document = f.document AND v.version = f.version;

GRANT SELECT ON open_hold, open_document, final_document TO billing_app;
