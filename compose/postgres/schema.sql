-- The application's own schema, on the first node. Keys already hold the shard key: see `keyshift doctor --plan`.
CREATE EXTENSION "uuid-ossp";

CREATE TABLE users (
    user_id uuid PRIMARY KEY DEFAULT uuid_generate_v4(),
    name    text NOT NULL
);

CREATE TABLE posts (
    post_id uuid NOT NULL DEFAULT uuid_generate_v4(),
    user_id uuid NOT NULL REFERENCES users,
    content text NOT NULL,
    PRIMARY KEY (user_id, post_id)
);

CREATE TABLE interactions (
    interaction_id   uuid NOT NULL DEFAULT uuid_generate_v4(),
    post_id          uuid NOT NULL,
    user_id          uuid NOT NULL,
    interaction_type text NOT NULL CHECK (interaction_type IN ('like', 'comment', 'share')),
    content          text,
    PRIMARY KEY (post_id, interaction_id)
);
