-- depends: 0003.corrections

-- Erasure takes a profile away and leaves the number. A later version is a later profile, whoever it is of.
CREATE SEQUENCE profile_version;

CREATE TABLE profiles (
    user_number bigint PRIMARY KEY REFERENCES users (number),
    version bigint NOT NULL DEFAULT nextval('profile_version'),
    display_name text,
    avatar text,
    timezone text,
    opt_out boolean NOT NULL DEFAULT false
);
