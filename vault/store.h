/* vault/store.h - the contract every store keeps: an ordered set of (key, value) with conditional commits.
 *
 * The store is not trusted with meaning: it sees keyed ids and sealed bytes. It knows bytes, numbers and classes; no
 * JSON, no SQL and no file name is visible here. SQLite (one host) is the embedded one; the contract leaves room for a
 * shared one (etcd), and tests/unit/test_store.c runs each line below against whatever backend it is given.
 *
 *  1. A commit is atomic, and durable before STORE_OK: it survives kill -9 of every process and a power cut.
 *  2. Its conditions are looked at in its own instant; all its keys get one `rev`, greater than every earlier one.
 *  3. get, get_many and head show every commit that was STORE_OK before they began, in any process.
 *  4. A view shows one instant, in byte order of keys.
 *  5. watch delivers each commit after a position, in order, at least once, never half of one; overwritten values may
 * be left out; where it cannot (deletions, a long absence) it says RESYNC and goes on from now.
 *  6. STORE_UNKNOWN comes only from commit, lock and unlock: it may have been applied, or may be later. Repeat with the
 *     same conditions or commit over it; never assume.
 *  7. Fences strictly increase per lock name; a commit with a lost fence never applies.
 *  8. Nothing waits longer than the limit it was given (watch excepted, which returns within 1 s of *stop).
 *  9. Values are opaque and never logged. 10. Wall clocks play no part.
 * 11. A cursor since a position gives, of one view, each key under the prefix that was written after the position and
 * is still there; what was deleted leaves no trace in it. A position the store never had is an alarm. */
#ifndef VAULT_STORE_H
#define VAULT_STORE_H

#include "core/buf.h"
#include "core/error.h"

#include <stdatomic.h>
#include <stdint.h>

#define STORE_KEY_MAX 255 /* bytes of [a-z0-9/_-] */
#define STORE_VALUE_MAX 65536
#define STORE_BATCH_MIN 16 /* operations every backend takes in one commit; caps say more */
#define STORE_WAIT_MS 5000 /* how long a writer waits for its turn */

enum store_class {
	STORE_OK = 0,
	STORE_NOT_FOUND,
	/* definite: nothing was written */
	STORE_CONFLICT,    /* a condition failed: see struct store_why */
	STORE_FENCED,      /* the lock is no longer ours */
	STORE_UNAVAILABLE, /* not accepted: busy or failing; safe to repeat later */
	STORE_DENIED,
	STORE_FULL,
	STORE_TOO_BIG,
	STORE_INVALID,   /* our own mistake */
	STORE_COMPACTED, /* the position is too old: list again */
	STORE_CANCELLED,
	/* indefinite */
	STORE_UNKNOWN,
	/* alarms: stop writing, tell the operator */
	STORE_ROLLBACK, /* the store went back in time, or is another one */
	STORE_CORRUPT,  /* it answered what it must never answer */
	STORE_CLASS_COUNT
};
const char *store_class_name(enum store_class class);

struct store;
struct store_view;
struct store_cursor;
struct store_lock;

struct store_pos {
	uint8_t incarnation[16]; /* compare rev only when these are equal */
	uint64_t rev;
};

struct store_record {
	const char *key;
	struct bytes value; /* borrowed: from the room given, or until the cursor moves */
	uint64_t mod;       /* opaque, test for equality only; 0 = absent */
	bool is_found;
};

enum store_condition_kind { STORE_IF_ABSENT, STORE_IF_MOD, STORE_IF_VALUE, STORE_IF_FENCE };
struct store_condition {
	enum store_condition_kind kind;
	const char *key;    /* FENCE: the lock's name */
	uint64_t number;    /* MOD, FENCE */
	struct bytes value; /* VALUE: byte for byte; a restored store can repeat a mod, never the root */
};

struct store_op {
	const char *key;
	struct bytes value;
	bool is_delete;
};

struct store_why {
	size_t index; /* the first condition that failed */
	bool is_mine; /* the present value is the one we tried to write */
};

struct store_caps {
	bool is_shared; /* several hosts */
	size_t batch_max;
};

enum store_event_kind { STORE_EVENT_PUT, STORE_EVENT_RESYNC, STORE_EVENT_IDLE };
struct store_event {
	enum store_event_kind kind;
	struct store_record record;
	struct store_pos at;
};
typedef bool store_watch_fn(void *context, const struct store_event *event); /* false ends the watch */

/* Called when a new store is whole but not yet visible, with other creators kept out; false abandons it. */
typedef bool store_before_fn(void *context, struct error *err);

/* What a backend implements. err is filled for every class but STORE_OK and STORE_NOT_FOUND. */
struct store_ops {
	const char *name;
	enum store_class (*create)(const char *path, const struct store_op *ops, size_t count, store_before_fn *before,
				   void *context, struct error *err);
	enum store_class (*open)(const char *path, struct store **ret, struct error *err);
	void (*close)(struct store *s);
	void (*leave)(struct store *s);
	struct store_caps (*caps)(struct store *s);
	enum store_class (*head)(struct store *s, struct store_pos *ret, struct error *err);
	enum store_class (*get_many)(struct store *s, const char *const *keys, size_t count, struct buf *room,
				     struct store_record *ret, struct error *err);
	enum store_class (*hold)(struct store *s, int64_t wait_ms, struct error *err);
	void (*release)(struct store *s);
	enum store_class (*commit)(struct store *s, const struct store_condition *conditions, size_t condition_count,
				   const struct store_op *ops, size_t op_count, struct store_pos *ret,
				   struct store_why *why, struct error *err);
	enum store_class (*view_open)(struct store *s, struct store_view **ret, struct error *err);
	void (*view_close)(struct store_view *view);
	enum store_class (*cursor_open)(struct store_view *view, const char *prefix, struct store_cursor **ret,
					struct error *err);
	enum store_class (*cursor_since)(struct store_view *view, const char *prefix, const struct store_pos *after,
					 struct store_cursor **ret, struct error *err);
	enum store_class (*cursor_next)(struct store_cursor *cursor, struct store_record *ret, struct error *err);
	void (*cursor_close)(struct store_cursor *cursor);
	enum store_class (*watch)(struct store *s, const char *prefix, const struct store_pos *after,
				  store_watch_fn *fn, void *context, const atomic_bool *stop, struct error *err);
	enum store_class (*lock_try)(struct store *s, const char *name, struct bytes who, struct store_lock **ret,
				     uint64_t *ret_fence, struct error *err);
	enum store_class (*lock_peek)(struct store *s, const char *name, struct buf *ret_who, uint64_t *ret_fence,
				      struct error *err);
	void (*lock_release)(struct store_lock *lock);
	enum store_class (*check)(struct store *s, struct error *err);
	enum store_class (*open_still)(const char *path, struct store **ret, struct error *err);
	enum store_class (*copy)(struct store_view *view, const char *path, struct error *err);
	enum store_class (*publish)(const char *fresh, const char *path, bool may_replace, struct error *err);
	enum store_class (*install)(const char *fresh, const char *path, const char *aside, store_before_fn *before,
				    store_before_fn *after, void *context, struct error *err);
	void (*discard)(const char *fresh);
	bool (*has_lost)(const struct store *s);
};

extern const struct store_ops store_sqlite;

/* Every handle begins with this, so that the calls below find their backend. */
struct store {
	const struct store_ops *ops;
};

/* Make a store that holds exactly ops, all at once or not at all. STORE_CONFLICT when something lies at the path. */
static inline enum store_class store_create(const struct store_ops *backend, const char *path,
					    const struct store_op *ops, size_t count, store_before_fn *before,
					    void *context, struct error *err)
{
	return backend->create(path, ops, count, before, context, err);
}

/* STORE_NOT_FOUND when there is none at the path. */
static inline enum store_class store_open(const struct store_ops *backend, const char *path, struct store **ret,
					  struct error *err)
{
	return backend->open(path, ret, err);
}

static inline void store_close(struct store *s)
{
	if (s)
		s->ops->close(s);
}

/* For a process that is about to end or to become another: what the kernel takes back by itself is left to it. What was
 * written is as it is behind a close. */
static inline void store_leave(struct store *s)
{
	if (s)
		s->ops->leave(s);
}

/* A write was not made durable, and nobody knows what of it stays: every commit through this handle is refused from then
 * on. */
static inline bool store_has_lost(const struct store *s)
{
	return s->ops->has_lost(s);
}

static inline struct store_caps store_caps(struct store *s)
{
	return s->ops->caps(s);
}

static inline enum store_class store_head(struct store *s, struct store_pos *ret, struct error *err)
{
	return s->ops->head(s, ret, err);
}

/* All at one instant. Values are copied into room (cleared first); ret[i].is_found is false for what is absent. */
static inline enum store_class store_get_many(struct store *s, const char *const *keys, size_t count, struct buf *room,
					      struct store_record *ret, struct error *err)
{
	return s->ops->get_many(s, keys, count, room, ret, err);
}

/* Keep this host's other writers out from before a change is read until after its anchor is written. Counted; a shared
 * store has nothing to hold and says STORE_OK. STORE_UNAVAILABLE after wait_ms. */
static inline enum store_class store_hold(struct store *s, int64_t wait_ms, struct error *err)
{
	return s->ops->hold(s, wait_ms, err);
}

static inline void store_release(struct store *s)
{
	s->ops->release(s);
}

/* Holds by itself when the caller does not. ret and why may be NULL. */
static inline enum store_class store_commit(struct store *s, const struct store_condition *conditions,
					    size_t condition_count, const struct store_op *ops, size_t op_count,
					    struct store_pos *ret, struct store_why *why, struct error *err)
{
	return s->ops->commit(s, conditions, condition_count, ops, op_count, ret, why, err);
}

/* One instant, read through cursors in key order; several cursors may be open in one view. */
static inline enum store_class store_view_open(struct store *s, struct store_view **ret, struct error *err)
{
	return s->ops->view_open(s, ret, err);
}

static inline enum store_class store_cursor_open(struct store *s, struct store_view *view, const char *prefix,
						 struct store_cursor **ret, struct error *err)
{
	return s->ops->cursor_open(view, prefix, ret, err);
}

/* What was written under the prefix after a position, in the order of its commits, keys in order. For those whose
 * records tell by themselves what was deleted. STORE_ROLLBACK when the store is not as far as the position, or another
 * one. */
static inline enum store_class store_cursor_since(struct store *s, struct store_view *view, const char *prefix,
						  const struct store_pos *after, struct store_cursor **ret,
						  struct error *err)
{
	return s->ops->cursor_since(view, prefix, after, ret, err);
}

/* STORE_NOT_FOUND at the end. */
static inline enum store_class store_cursor_next(struct store *s, struct store_cursor *cursor, struct store_record *ret,
						 struct error *err)
{
	return s->ops->cursor_next(cursor, ret, err);
}

static inline void store_cursor_close(struct store *s, struct store_cursor *cursor)
{
	if (cursor)
		s->ops->cursor_close(cursor);
}

static inline void store_view_close(struct store *s, struct store_view *view)
{
	if (view)
		s->ops->view_close(view);
}

static inline enum store_class store_watch(struct store *s, const char *prefix, const struct store_pos *after,
					   store_watch_fn *fn, void *context, const atomic_bool *stop,
					   struct error *err)
{
	return s->ops->watch(s, prefix, after, fn, context, stop, err);
}

/* The lease of a lock on one host is the life of the process: the kernel takes it back. STORE_CONFLICT when held. who
 * carries a nonce, so that an UNKNOWN can be settled by peeking. */
static inline enum store_class store_lock_try(struct store *s, const char *name, struct bytes who,
					      struct store_lock **ret, uint64_t *ret_fence, struct error *err)
{
	return s->ops->lock_try(s, name, who, ret, ret_fence, err);
}

static inline enum store_class store_lock_peek(struct store *s, const char *name, struct buf *ret_who,
					       uint64_t *ret_fence, struct error *err)
{
	return s->ops->lock_peek(s, name, ret_who, ret_fence, err);
}

static inline void store_lock_release(struct store *s, struct store_lock *lock)
{
	if (lock)
		s->ops->lock_release(lock);
}

/* The store's own structure, read whole: for `verify`. STORE_CORRUPT says what is wrong. */
static inline enum store_class store_check(struct store *s, struct error *err)
{
	return s->ops->check(s, err);
}

/* ---- files that are no store of this host: backups ---- */

/* A file that nobody writes, wherever it lies: it is only read, and nothing is made beside it. */
static inline enum store_class store_open_still(const struct store_ops *backend, const char *path, struct store **ret,
						struct error *err)
{
	return backend->open_still(path, ret, err);
}

/* All that the view shows as a new store at path, durable; what lies there is removed. Half of one is never left by an
 * error. */
static inline enum store_class store_copy(struct store *s, struct store_view *view, const char *path, struct error *err)
{
	return s->ops->copy(view, path, err);
}

/* Move a finished copy to its name, durably. STORE_CONFLICT when something lies there and may not be replaced. */
static inline enum store_class store_publish(const struct store_ops *backend, const char *fresh, const char *path,
					     bool may_replace, struct error *err)
{
	return backend->publish(fresh, path, may_replace, err);
}

/* Put a finished copy in place of the store at path with other writers held out, whatever state that one is in; it is
 * kept at aside. before is called when all that can fail easily has been done; after, when it is in its place: where that
 * fails, STORE_UNKNOWN. */
static inline enum store_class store_install(const struct store_ops *backend, const char *fresh, const char *path,
					     const char *aside, store_before_fn *before, store_before_fn *after,
					     void *context, struct error *err)
{
	return backend->install(fresh, path, aside, before, after, context, err);
}

/* A copy that is not wanted any more. */
static inline void store_discard(const struct store_ops *backend, const char *fresh)
{
	backend->discard(fresh);
}

#endif
