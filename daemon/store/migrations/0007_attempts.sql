-- What an attempt went through: when it was due, how long each stage took in seconds, which keys signed, what came next.

ALTER TABLE attempts ADD COLUMN due_at REAL;
ALTER TABLE attempts ADD COLUMN dns REAL;
ALTER TABLE attempts ADD COLUMN connect REAL;
ALTER TABLE attempts ADD COLUMN tls REAL;
ALTER TABLE attempts ADD COLUMN first_byte REAL;
ALTER TABLE attempts ADD COLUMN keys TEXT NOT NULL DEFAULT '';
ALTER TABLE attempts ADD COLUMN next_at REAL;
ALTER TABLE attempts ADD COLUMN next_why TEXT;
ALTER TABLE attempts ADD COLUMN response TEXT;
