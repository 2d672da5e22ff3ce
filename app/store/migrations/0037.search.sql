-- depends: 0036.names

-- Users are found by the beginning of their id, as it is written, or of a display name whatever the case of its letters:
-- `folded` is the name without case (app/model/profile.py). It stays null until `migrate` or the next change fills it.
ALTER TABLE profiles ADD COLUMN folded text;
CREATE INDEX profiles_folded ON profiles (namespace_id, folded COLLATE "C", user_number) WHERE folded IS NOT NULL;
CREATE INDEX users_by_beginning ON users (name COLLATE "C", number);
