#pragma once
/// The message header and its byte grammar: the one encode and the one decode.
///
/// A message is one header frame and at most one payload frame. All integers are little-endian; the header is
/// header_bytes long:
///
///   offset size field
///        0    4 magic        0x44545231 ("1RTD")
///        4    2 version      of this grammar
///        6    2 type         Type
///        8    2 codec        how the payload's floats are packed, as whoever sends and receives them knows; 0: not at
///        all
///       10    2 sender_role  Role
///       12    4 sender_rank
///       16    8 nonce        of the job: two runs never meet
///       24    8 incarnation  of the sender's process
///       32    4 epoch        of membership
///       36    4 slice
///       40    8 sequence     per sender, socket and other end, from 1 (wire/numbers.hpp); `join`: 0; `sent`: of the
///       last 48    8 clock        push: the step it belongs to; weights: the version they are 56    4 piece        i
///       60    4 pieces       of n (n >= 1, i < n)
///       64    8 offset       first weight, in the flat vector
///       72    8 count        weights in the payload
///       80    8 rows         push: rows b_i behind the gradient; weights: applied before; others: as their type says
///       88    8 due          weights: the step in which the receiver pushes next; partial, result: flags
///       96    8 note         push: the bits of its mean loss (double); weights: the snapshot that the receiver adds
///       its
///                            own state to, plus 1; partial: the bits of its factor (float); in a replica: a cut;
///                            others: 0
///      104    8 block        where the floats lie in memory of the sender's (wire/shared.hpp); 0: in the payload
///      112    8 place        of that block: process id, and its file descriptor in the lower 32 bits
///      120    8 at           first float in the block
///      128    8 payload      its length in bytes
///      136    8 payload_hash XXH3 of the payload where hashes_payload(type), else 0
///      144    8 checksum     XXH3 of bytes 0..143
///
/// Decoding refuses, never throws: bytes from outside close that peer, not the process. Pure; any thread.

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <variant>

namespace dtrain::wire {

inline constexpr std::uint32_t magic = 0x44545231;
inline constexpr std::uint16_t version = 5;
inline constexpr std::size_t header_bytes = 152;

enum class Role : std::uint16_t { coordinator = 0, server = 1, worker = 2, loader = 3 };
const char* name(Role role);

enum class Type : std::uint16_t {
  // control: role -> coordinator
  join = 1,      ///< payload: Json (role wanted, host, cores, memory, pid, child ticket)
  ready = 2,     ///< payload: Json (a server's data endpoint)
  progress = 3,  ///< payload: ProgressReport records; also the beat
  left = 4,      ///< payload: Json (final counters)
  failed = 5,    ///< payload: Json (exit code, message)
  frozen = 6,    ///< server: its version and the pushes it has whole, after `lost`. Payload: Json
  cut = 7,       ///< server, worker: what the snapshot that follows on the data socket is of. Payload: Json
  changed = 8,   ///< server: a policy has set a bound. Payload: Json
  traced = 9,    ///< server: what happened since the last. Payload: Event records
  chaos = 10,    ///< a fault is made on purpose (--chaos); the coordinator's answer has the same type. Payload: Json
  // control: coordinator -> role
  welcome = 16,     ///< payload: Json (role, rank, resolved job, encoding, facts, plan)
  start = 17,       ///< payload: Json (server endpoints and keys, first step)
  stop = 18,        ///< finish the step, leave
  abort = 19,       ///< leave at once
  save = 24,        ///< to a worker: mark your next step for all servers to save. rows: cut to mark, or 0
  lost = 20,        ///< rank: of the lost worker. Servers freeze
  membership = 21,  ///< payload: Json (epoch, active ranks, first step it holds for, step to fold again or not)
  goodbye = 23,     ///< all is done: send `left` and end
  refused = 22,     ///< payload: Json (why a join was not admitted)
  take_over = 25,   ///< a server was lost: its standby has its slice from here on. Payload: Json. And the standby's
                    ///< answer, without payload: all workers have come to it
  again = 26,       ///< to a role from outside: the run goes back to its last checkpoint, join anew
  coming = 27,      ///< to a server, loader: a worker is about to join. Payload: Json
  // any connection that falls silent
  sent = 31,  ///< so many messages were sent, as `sequence` says. ZeroMQ's users never see it
  // data: worker -> server
  pull = 32,   ///< wants the weights of version >= clock
  push = 33,   ///< gradient of step `clock`
  mark = 35,   ///< servers save what became of step `clock`; rows: or, of this cut, of what is below it
  leave = 34,  ///< no push of this rank will follow; rows: 1 if it has not begun a step, as it joined too late
  touch = 36,  ///< payload: rows of the first weight matrix that the sender needs for step `clock`, as uint32
  // data: server -> worker, coordinator
  weights = 48,  ///< a piece of version `clock`; count 0: only the release
  // data: server 0 -> worker, server
  decided = 49,  ///< payload: which pushes step `clock` folds (role/council.hpp)
  // data: coordinator <-> server; on to and from a worker whose own state it is (rows: its rank plus 1; else 0)
  load = 64,      ///< a piece of initial weights or state; slice: which arena (0 weights, 1.. moments)
  snapshot = 65,  ///< a piece of a version; slice field as in `load`
  // data: server <-> server
  arrived = 81,  ///< to server 0: all of a push is here (rows: the rank plus 1; count: its rows; note: its loss)
  // (also among workers: those who sum the gradient by all-reduce, and within a replica)
  squares = 80,  ///< payload: block sums (double) of step `clock`, for clipping by the global norm. slice: whose
  // data: server <-> its standby (clock: the number of the update)
  keep = 82,      ///< a piece of what the update led to; slice as in `load`
  keep_all = 83,  ///< that was all of it. Payload: Json (what a Cut says of it)
  kept = 84,      ///< the standby's answer
  // data: worker <-> worker (collectives: piece is the bucket, slice the number of the message in its exchange)
  partial = 96,  ///< a sum on its way; count 0: of nobody yet. rows: those behind it
  result = 97,   ///< what became of it
  offer = 98,    ///< gossip: the sender's weights
  answer = 99,   ///< gossip: the receiver's, from before the offer was taken in
  // data: worker -> loader, worker that holds a shard (clock: the number of the request, which answers repeat)
  want = 112,  ///< payload: row numbers (32 bits each); empty: `count` of them from `offset` on, `due` apart
  // data: loader, worker that holds a shard -> worker
  rows = 113,   ///< payload: a piece of a table of these rows (data/table.hpp)
  batch = 114,  ///< the rows encoded: features row by row, then targets
  // data: worker <-> worker of one replica of a split network (slice: the sender's cell; due: the leader wishes to
  // stop)
  activations = 120,      ///< of a stage, for micro-batch `piece`: to the one above
  output_gradient = 121,  ///< by them: to the one below
  group_part = 122,       ///< exchange number `piece` of a tensor group
  halt = 123,             ///< the leader: step `clock` is not done, nor any after it
  go = 124,               ///< the leader: step `clock` is done, where nothing else tells of it
};

struct Header {
  Type type{};
  std::uint16_t codec = 0;
  Role sender_role{};
  std::uint32_t sender_rank = 0;
  std::uint64_t nonce = 0;
  std::uint64_t incarnation = 0;
  std::uint32_t epoch = 0;
  std::uint32_t slice = 0;
  std::uint64_t sequence = 0;
  std::uint64_t clock = 0;
  std::uint32_t piece = 0;
  std::uint32_t pieces = 1;
  std::uint64_t offset = 0;
  std::uint64_t count = 0;
  std::uint64_t rows = 0;
  std::uint64_t due = 0;
  std::uint64_t note = 0;
  std::uint64_t block = 0;
  std::uint64_t place = 0;
  std::uint64_t at = 0;
  std::uint64_t payload = 0;
  std::uint64_t payload_hash = 0;
  bool operator==(const Header&) const = default;
};

std::array<std::byte, header_bytes> encode(const Header& header);

/// Why bytes were refused, as a person would say it.
struct Refusal {
  std::string why;
};

/// Refuses: wrong length, magic, version, checksum, type, role; piece >= pieces; of types that carry floats, a payload
/// that claims a hash, or whose length is not 4 * count where it is not packed and not in a block; of others, a codec
/// or a block; floats in a block that are packed or have a payload too; offset + count above 2^63 - 1.
std::variant<Header, Refusal> decode(std::span<const std::byte> bytes);

/// False for types that carry floats (push, weights, load, snapshot, keep, partial, result, offer, answer, batch), true
/// for all others.
bool hashes_payload(Type type);

}  // namespace dtrain::wire
