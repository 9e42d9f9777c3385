#pragma once
/// What control messages carry: Json for what is rare, a fixed record for what is frequent.
///
/// Every reader validates: a payload that is not what its type promises throws Error(Kind::internal) in a role (the
/// coordinator is trusted) and gives nullopt in the coordinator (a role may be anybody).

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.hpp"
#include "data/data.hpp"
#include "job/job.hpp"
#include "plan/plan.hpp"
#include "sync/trace.hpp"
#include "wire/frame.hpp"

namespace dtrain::role {

/// What a role was doing when last heard of.
enum class Phase : std::uint32_t {
  joining,
  loading,
  waiting,
  computing,
  folding,
  fetching,
  serving,
  exchanging,
  leaving
};
const char* name(Phase phase);

/// Loss of one step on one rank.
struct StepRecord {
  std::uint64_t step = 0;
  double loss_sum = 0;  ///< over `rows`
  std::uint64_t rows = 0;
};

/// Payload of `progress`: also the beat, then without records.
struct ProgressReport {
  std::uint64_t step = 0;
  Phase phase = Phase::joining;
  std::vector<StepRecord> records;
};
std::string pack(const ProgressReport& report);
std::optional<ProgressReport> unpack_progress(std::string_view payload);

/// Payload of `join`.
struct Join {
  wire::Role role = wire::Role::worker;
  std::string host;
  int cores = 0;
  std::int64_t pid = 0;
  std::string ticket;      ///< of a child that the coordinator started: "worker 1"; "" from outside
  std::string secret;      ///< of the run, for children; a proof by HMAC for others
  std::string public_key;  ///< CURVE, of this role's connections
};
std::string pack(const Join& join);
std::optional<Join> unpack_join(std::string_view payload);

/// Payload of `welcome`: all that a role needs to compute the plan by itself.
struct Welcome {
  int rank = 0;
  std::uint64_t nonce = 0;
  std::uint32_t epoch = 0;
  std::string job_text;  ///< resolved
  plan::Host host;
  data::Facts facts;
  data::Encoding encoding;
  std::vector<std::string> bind;       ///< server, loader: where its data sockets listen
  std::vector<std::string> bind_rows;  ///< worker that holds a shard for others: where it listens for them
  bool secure = false;                 ///< tcp data sockets speak CURVE
  std::uint64_t probe_block = 0;       ///< shared memory of the coordinator's, for roles of its machine to try; 0: none
  std::uint64_t probe_place = 0;
  std::string chaos{};  ///< faults that it makes on purpose (role/chaos_spec.hpp); "" for none
  int life = 0;         ///< how many roles had this place before
};
std::string pack(const Welcome& welcome);
Welcome unpack_welcome(std::string_view payload);

/// Payload of `ready`.
struct Ready {
  std::vector<std::string> endpoints;      ///< server: what its data socket listens on, one for each of `Welcome::bind`
  std::vector<std::string> row_endpoints;  ///< the same for `Welcome::bind_rows`
};
std::string pack(const Ready& ready);
std::optional<Ready> unpack_ready(std::string_view payload);

/// Payload of `start`.
struct Start {
  std::vector<std::string> endpoints;  ///< data, one per owner of the receiver's weights, as it should connect
  std::vector<std::string> keys;       ///< CURVE public keys of these, for tcp endpoints; "" without CURVE
  std::vector<std::string> names;      ///< as the run knows them: "server 3"
  std::vector<std::string> replica;    ///< as endpoints: the workers of its replica by cell, itself among them
  std::vector<std::string> replica_keys, replica_names;
  /// Of a split network whose gradient is clipped: as endpoints, the owners of all weights, cell by cell, and which of
  /// them the receiver is.
  std::vector<std::string> everywhere, everywhere_keys, everywhere_names;
  int number = 0;
  std::vector<std::string> row_endpoints;  ///< where rows are to be had: loaders, then workers that hold shards
  std::vector<std::string> row_keys;       ///< as `keys`
  std::vector<std::string> allowed;        ///< public keys of everybody, for servers to admit
  bool stands_by = false;                  ///< the receiver keeps a server's slice until that is lost
  std::string standby, standby_key;        ///< server: as endpoints, where its own standby listens; "": it has none
  std::vector<std::uint64_t> clocks;       ///< per worker: its first step
  std::uint64_t updates = 0;               ///< of the state that servers are loaded with
  Index applied_rows = 0;
  std::vector<double> memory;                  ///< sync::Policy::memory()
  std::vector<std::int64_t> worklist;          ///< data::Worklist::state(); empty: from the beginning
  std::vector<std::uint64_t> own_updates;      ///< of each worker's own optimizer, where it is sent its own state first
  std::vector<std::vector<double>> own_since;  ///< the same: `memory` of its cut
  std::vector<int> active;                     ///< workers that take part, ascending
  std::uint32_t epoch = 0;                     ///< of this membership
  bool joins = false;                          ///< the receiver takes a place in a run that has begun
};
std::string pack(const Start& start);
Start unpack_start(std::string_view payload);

/// Payload of `cut`: what a snapshot is of, beside the numbers. Of a worker's own state: ordinal, its clock and updates
/// as `clocks`, and as `memory` rows since its last exchange and the sum of their losses, or what a Packer has as rate.
struct Cut {
  static constexpr std::uint64_t last_ordinal = ~std::uint64_t{0} >> 1;
  std::uint64_t ordinal = 0;  ///< names the snapshot, alike on every role; of the last: last_ordinal
  bool evaluate = false, save = false, last = false;
  bool own = false;  ///< of a worker's own state
  std::uint64_t updates = 0;
  Index applied_rows = 0;
  std::vector<std::uint64_t> clocks;
  std::vector<double> memory;          ///< of the policy
  std::vector<std::int64_t> worklist;  ///< under quorum
  std::vector<int> members;            ///< workers that add their own state to it, where they keep any
};
std::string pack(const Cut& cut);
std::optional<Cut> unpack_cut(std::string_view payload);

/// Payload of `coming`: who will be at a place. Servers freeze; where `until` is a step, once that is in flight.
struct Coming {
  std::uint64_t attempt = 0;  ///< which answers repeat
  int rank = 0;
  std::uint64_t incarnation = 0;
  std::string public_key;
  std::uint64_t until = 0;
  bool called_off = false;  ///< it does not come: servers go on
};
std::string pack(const Coming& coming);
Coming unpack_coming(std::string_view payload);

/// Payload of `frozen`: what a server has of the step in flight when a worker is lost, or about to join.
struct Frozen {
  std::uint64_t step = 0;  ///< in flight; of a block, its last
  /// All of the lost worker's push for that step, or for the one before if `step` is past it, is here. Of who joins:
  /// that step is in flight, and nothing of the one before is still to be done.
  bool complete = false;
  std::uint64_t attempt = 0;  ///< of `coming`; 0: a worker was lost
  bool over = false;          ///< too late for who joins: the server has done all there was to do
  std::uint64_t entry = 0;    ///< where it would start, under policies without steps in common
  std::uint64_t applied_rows = 0;
  std::vector<std::int64_t> worklist{};  ///< under quorum
};
std::string pack(const Frozen& frozen);
std::optional<Frozen> unpack_frozen(std::string_view payload);

/// Payload of `membership`.
struct Membership {
  static constexpr int nobody = -1;
  std::uint32_t epoch = 0;
  int lost = nobody, joined = nobody;  ///< one of them is somebody
  std::vector<int> active;
  /// The step in flight; the active ranks share the rows from the next one on. Under policies without steps in common:
  /// where who joins starts.
  std::uint64_t step = 0;
  bool keep_pending = false;  ///< the lost worker's push for that step stays in
  std::vector<int> undone;    ///< servers that take their last step back
};
std::string pack(const Membership& membership);
Membership unpack_membership(std::string_view payload);

/// Payload of `changed`.
struct Changed {
  std::string what;
  std::int64_t from = 0, to = 0;
  std::uint64_t step = 0;
};
std::string pack(const Changed& changed);
std::optional<Changed> unpack_changed(std::string_view payload);

/// Payload of `chaos`.
struct Confession {
  std::string fault;       ///< that the sender is about to make, as in Welcome::chaos
  std::uint64_t step = 0;  ///< that begins, counted from 0
  bool waits = false;      ///< for an answer: it will not be there to say it again
};
std::string pack(const Confession& confession);
std::optional<Confession> unpack_confession(std::string_view payload);

/// Payload of `traced`.
std::string pack(std::span<const sync::Event> events);
std::optional<std::vector<sync::Event>> unpack_traced(std::string_view payload);

/// Payload of `failed` and `refused`.
struct Failure {
  int code = 1;  ///< as exit code; never 0
  std::string message;
};
std::string pack(const Failure& failure);
std::optional<Failure> unpack_failure(std::string_view payload);

/// Payload of `left`: where a role's time and bytes went.
struct Tally {
  double compute_seconds = 0, wait_seconds = 0, communicate_seconds = 0;
  double fetch_seconds = 0;                        ///< worker: waiting for rows that others hold
  double read_seconds = 0, transform_seconds = 0;  ///< loader: busy with that
  double seconds = 0;                              ///< worker, loader: from start to good-bye
  std::uint64_t payload_sent = 0, payload_received = 0, wire_sent = 0, wire_received = 0;
  std::uint64_t replica_sent = 0,
                replica_received = 0;  ///< of a split network: payload within its replica, not in payload_*
  std::uint64_t steps = 0, rows = 0;
  std::vector<std::uint64_t> staleness;  ///< histogram, servers of an asynchronous run
  std::uint64_t refused = 0, torn = 0;
  std::uint64_t late = 0;                      ///< pushes of steps that were over (quorum)
  std::uint64_t abandoned = 0;                 ///< steps given up for one that had begun (quorum)
  std::uint64_t rows_never_learned = 0;        ///< dropped once too often
  std::map<std::string, std::int64_t> bounds;  ///< set while running (adaptive): as they were at the end
  std::int64_t peak_bytes = 0;                 ///< resident
};
std::string pack(const Tally& tally);
std::optional<Tally> unpack_tally(std::string_view payload);
Json to_json(const Tally& tally);

}  // namespace dtrain::role
