-- depends: 0013.counted

-- Which users of an archive are not shown: those of `hidden` who stand in it, written with either. A board knows its few.
CREATE TABLE veiled (
    archive_id integer NOT NULL,
    user_number bigint NOT NULL,
    PRIMARY KEY (archive_id, user_number)
);
CREATE INDEX veiled_user ON veiled (user_number);
INSERT INTO veiled SELECT r.archive_id, r.user_number FROM archived r JOIN hidden h ON h.user_number = r.user_number;
