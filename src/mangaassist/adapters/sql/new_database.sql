CREATE TABLE alembic_version (
    version_num VARCHAR(32) NOT NULL,
    CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
);

INSERT INTO alembic_version (version_num) VALUES ('0004');

CREATE TABLE budget_reservations (
    reservation_id TEXT NOT NULL,
    session_id TEXT NOT NULL,
    level TEXT NOT NULL,
    reserved_tokens BIGINT NOT NULL,
    used_tokens BIGINT,
    expires_at TEXT NOT NULL,
    CONSTRAINT pk_budget_reservations PRIMARY KEY (reservation_id)
);

CREATE INDEX ix_budget_reservations_session_id ON budget_reservations (session_id);

CREATE TABLE budgets (
    session_id TEXT NOT NULL,
    limit_tokens BIGINT NOT NULL,
    updated_at TEXT NOT NULL,
    CONSTRAINT pk_budgets PRIMARY KEY (session_id)
);

CREATE TABLE contents (
    address TEXT NOT NULL,
    key_id TEXT,
    body BLOB NOT NULL,
    kept_until TEXT NOT NULL,
    CONSTRAINT pk_contents PRIMARY KEY (address)
);

CREATE INDEX ix_contents_kept_until ON contents (kept_until);

CREATE INDEX ix_contents_key_id ON contents (key_id);

CREATE TABLE copy_outbox (
    kind TEXT NOT NULL,
    subject_id TEXT NOT NULL,
    CONSTRAINT pk_copy_outbox PRIMARY KEY (kind, subject_id)
);

CREATE TABLE customer_keys (
    key_id TEXT NOT NULL,
    owner TEXT NOT NULL,
    wrapped_key BLOB NOT NULL,
    created_at TEXT NOT NULL,
    CONSTRAINT pk_customer_keys PRIMARY KEY (key_id),
    CONSTRAINT uq_customer_keys_owner UNIQUE (owner)
);

CREATE TABLE experiment_exposures (
    experiment TEXT NOT NULL,
    phase INTEGER NOT NULL,
    unit_id TEXT NOT NULL,
    arm TEXT NOT NULL,
    release_bundle TEXT NOT NULL,
    exposed_at TEXT NOT NULL,
    CONSTRAINT pk_experiment_exposures PRIMARY KEY (experiment, phase, unit_id)
);

CREATE INDEX ix_experiment_exposures_unit_id ON experiment_exposures (unit_id);

CREATE TABLE outbox (
    id TEXT NOT NULL,
    kind TEXT NOT NULL,
    subject_id TEXT NOT NULL,
    payload TEXT NOT NULL,
    created_at TEXT NOT NULL,
    CONSTRAINT pk_outbox PRIMARY KEY (id),
    CONSTRAINT uq_outbox_kind_subject_id UNIQUE (kind, subject_id)
);

CREATE TABLE sessions (
    session_id TEXT NOT NULL,
    owner TEXT NOT NULL,
    state TEXT NOT NULL,
    created_at TEXT NOT NULL,
    updated_at TEXT NOT NULL,
    turn_count INTEGER NOT NULL,
    CONSTRAINT pk_sessions PRIMARY KEY (session_id)
);

CREATE TABLE turns (
    response_id TEXT NOT NULL,
    session_id TEXT NOT NULL,
    seq INTEGER NOT NULL,
    user_text TEXT NOT NULL,
    assistant_text TEXT NOT NULL,
    intent TEXT NOT NULL,
    created_at TEXT NOT NULL,
    CONSTRAINT pk_turns PRIMARY KEY (response_id),
    CONSTRAINT uq_turns_session_id_seq UNIQUE (session_id, seq),
    CONSTRAINT fk_turns_session_id FOREIGN KEY(session_id) REFERENCES sessions (session_id)
);

CREATE TABLE request_records (
    response_id TEXT NOT NULL,
    request_id TEXT NOT NULL,
    trace_id TEXT NOT NULL,
    session_id TEXT NOT NULL,
    owner TEXT NOT NULL,
    created_at TEXT NOT NULL,
    intent TEXT NOT NULL,
    confidence FLOAT NOT NULL,
    classification_path TEXT NOT NULL,
    route TEXT NOT NULL,
    release_bundle TEXT NOT NULL,
    prompt_version TEXT NOT NULL,
    model_id TEXT NOT NULL,
    page_type TEXT NOT NULL,
    user_type TEXT NOT NULL,
    locale TEXT NOT NULL,
    cache_hit BOOLEAN NOT NULL,
    input_tokens BIGINT NOT NULL,
    output_tokens BIGINT NOT NULL,
    cached_input_tokens BIGINT NOT NULL,
    latency_ms FLOAT NOT NULL,
    time_to_first_token_ms FLOAT,
    guardrail_action TEXT NOT NULL,
    guardrail_scores TEXT NOT NULL,
    chunk_ids TEXT NOT NULL,
    step_ms TEXT NOT NULL,
    outcome TEXT NOT NULL,
    service_level TEXT NOT NULL,
    sampling_reason TEXT NOT NULL,
    deployment_stage TEXT DEFAULT 'prod' NOT NULL,
    region TEXT DEFAULT 'local' NOT NULL,
    assignments TEXT DEFAULT '{}' NOT NULL,
    versions TEXT DEFAULT '{}' NOT NULL,
    provider TEXT DEFAULT 'none' NOT NULL,
    stop_reason TEXT,
    retries INTEGER DEFAULT '0' NOT NULL,
    fallback_model BOOLEAN DEFAULT 0 NOT NULL,
    cache_write_tokens BIGINT DEFAULT '0' NOT NULL,
    tokens_estimated BOOLEAN DEFAULT 0 NOT NULL,
    cost_usd FLOAT,
    guardrail_stage TEXT,
    guardrail_rule TEXT,
    guardrail_actions TEXT DEFAULT '{}' NOT NULL,
    chunk_hashes TEXT DEFAULT '[]' NOT NULL,
    prompt_hash TEXT,
    capsule TEXT,
    channel TEXT DEFAULT 'chat' NOT NULL,
    guardrail_rules TEXT DEFAULT '{}' NOT NULL,
    CONSTRAINT pk_request_records PRIMARY KEY (response_id),
    CONSTRAINT fk_request_records_response_id FOREIGN KEY(response_id) REFERENCES turns (response_id)
);

CREATE INDEX ix_request_records_created_at_response_id ON request_records (created_at, response_id);

CREATE INDEX ix_request_records_owner_created_at ON request_records (owner, created_at);

CREATE INDEX ix_request_records_trace_id ON request_records (trace_id);

CREATE TABLE feedback (
    feedback_id TEXT NOT NULL,
    response_id TEXT NOT NULL,
    trace_id TEXT NOT NULL,
    feedback TEXT NOT NULL,
    timestamp TEXT NOT NULL,
    reason_code TEXT,
    comment TEXT,
    value FLOAT,
    CONSTRAINT pk_feedback PRIMARY KEY (feedback_id),
    CONSTRAINT uq_feedback_response_id_feedback UNIQUE (response_id, feedback),
    CONSTRAINT fk_feedback_response_id FOREIGN KEY(response_id) REFERENCES request_records (response_id)
);

CREATE TABLE guardrail_reviews (
    response_id TEXT NOT NULL,
    created_at TEXT NOT NULL,
    reason TEXT NOT NULL,
    intent TEXT NOT NULL,
    channel TEXT NOT NULL,
    phase TEXT NOT NULL,
    stage TEXT,
    rule_id TEXT,
    action TEXT NOT NULL,
    ruleset_version TEXT NOT NULL,
    question TEXT NOT NULL,
    text TEXT NOT NULL,
    findings TEXT NOT NULL,
    label TEXT,
    note TEXT,
    labelled_by TEXT,
    labelled_at TEXT,
    CONSTRAINT pk_guardrail_reviews PRIMARY KEY (response_id),
    CONSTRAINT fk_guardrail_reviews_response_id FOREIGN KEY(response_id) REFERENCES request_records (response_id)
)
