#include "role/messages.hpp"

#include <cstring>

#include "role/payload.hpp"

namespace dtrain::role {
namespace {

/// Fixed records cross the wire as they lie in memory: the project runs on little-endian machines only (checked here).
static_assert(std::endian::native == std::endian::little);
static_assert(sizeof(StepRecord) == 24);

struct ProgressHead {
  std::uint64_t step;
  std::uint32_t phase;
  std::uint32_t records;
};

/// A name that somebody gave itself, fit for a line of text.
std::string shown(std::string name) {
  constexpr std::size_t longest = 255;
  name = name.substr(0, longest);
  for (char& c : name)
    if (c < ' ' || c > '~') c = '?';
  return name;
}

}  // namespace

const char* name(Phase phase) {
  switch (phase) {
    case Phase::joining: return "joining";
    case Phase::loading: return "loading data";
    case Phase::waiting: return "waiting for weights";
    case Phase::computing: return "computing";
    case Phase::folding: return "waiting for pushes";
    case Phase::fetching: return "waiting for rows";
    case Phase::serving: return "serving rows";
    case Phase::exchanging: return "waiting for its replica";
    case Phase::leaving: return "leaving";
  }
  return "in an unknown phase";
}

std::string pack(const ProgressReport& report) {
  const ProgressHead head{report.step, static_cast<std::uint32_t>(report.phase),
                          static_cast<std::uint32_t>(report.records.size())};
  std::string out(sizeof head + report.records.size() * sizeof(StepRecord), '\0');
  std::memcpy(out.data(), &head, sizeof head);
  if (!report.records.empty())
    std::memcpy(out.data() + sizeof head, report.records.data(), report.records.size() * sizeof(StepRecord));
  return out;
}

std::optional<ProgressReport> unpack_progress(std::string_view payload) {
  ProgressHead head{};
  if (payload.size() < sizeof head) return std::nullopt;
  std::memcpy(&head, payload.data(), sizeof head);
  if (payload.size() != sizeof head + std::size_t{head.records} * sizeof(StepRecord)) return std::nullopt;
  if (head.phase > static_cast<std::uint32_t>(Phase::leaving)) return std::nullopt;
  ProgressReport report{head.step, static_cast<Phase>(head.phase), std::vector<StepRecord>(head.records)};
  if (head.records > 0) std::memcpy(report.records.data(), payload.data() + sizeof head, payload.size() - sizeof head);
  return report;
}

template <class Io, Either<Join> Some>
void fields(Io& io, Some& join) {
  io("role", join.role);
  io("host", join.host);
  io("cores", join.cores);
  io("pid", join.pid);
  io("ticket", join.ticket);
  io("secret", join.secret);
  io("public_key", join.public_key);
}

std::string pack(const Join& join) { return written(join).dump(); }

std::optional<Join> unpack_join(std::string_view payload) {
  std::optional<Join> join = read<Join>(payload);
  if (!join) return join;
  if (join->role != wire::Role::server && join->role != wire::Role::loader) join->role = wire::Role::worker;
  join->host = shown(join->host);
  return join;
}

/// All but the encoding.
template <class Io, Either<Welcome> Some>
void fields(Io& io, Some& welcome) {
  io("rank", welcome.rank);
  io("nonce", welcome.nonce);
  io("epoch", welcome.epoch);
  io("job", welcome.job_text);
  io("host", welcome.host.name);
  io("cores", welcome.host.cores);
  io("memory", welcome.host.memory);
  io("train_rows", welcome.facts.train_rows);
  io("test_rows", welcome.facts.test_rows);
  io("hash", welcome.facts.hash);
  io("nonzeros", welcome.facts.nonzeros);
  io("skipped_rows", welcome.facts.skipped_rows);
  io("shard_classes", welcome.facts.shards.classes);
  io("shard_rows", welcome.facts.shards.rows);
  io("bind", welcome.bind);
  io("bind_rows", welcome.bind_rows);
  io("secure", welcome.secure);
  io("probe_block", welcome.probe_block);
  io("probe_place", welcome.probe_place);
  io("chaos", welcome.chaos);
  io("life", welcome.life);
}

std::string pack(const Welcome& welcome) {
  Json json = written(welcome);
  json["encoding"] = welcome.encoding.to_json();
  return json.dump();
}

Welcome unpack_welcome(std::string_view payload) {
  const auto read = [](const Json& json) {
    Welcome welcome = taken<Welcome>(json);
    welcome.encoding = data::Encoding::from_json(json.at("encoding"));
    return welcome;
  };
  return trusted(attempt(payload, read), "welcome");
}

template <class Io, Either<Confession> Some>
void fields(Io& io, Some& confession) {
  io("fault", confession.fault);
  io("step", confession.step);
  io("waits", confession.waits);
}

std::string pack(const Confession& confession) { return written(confession).dump(); }

std::optional<Confession> unpack_confession(std::string_view payload) { return read<Confession>(payload); }

template <class Io, Either<Ready> Some>
void fields(Io& io, Some& ready) {
  io("endpoints", ready.endpoints);
  io("row_endpoints", ready.row_endpoints);
}

std::string pack(const Ready& ready) { return written(ready).dump(); }

std::optional<Ready> unpack_ready(std::string_view payload) { return read<Ready>(payload); }

template <class Io, Either<Start> Some>
void fields(Io& io, Some& start) {
  io("endpoints", start.endpoints);
  io("keys", start.keys);
  io("allowed", start.allowed);
  io("stands_by", start.stands_by);
  io("standby", start.standby);
  io("standby_key", start.standby_key);
  io("clocks", start.clocks);
  io("updates", start.updates);
  io("applied_rows", start.applied_rows);
  io("memory", start.memory);
  io("worklist", start.worklist);
  io("own_updates", start.own_updates);
  io("own_since", start.own_since);
  io("names", start.names);
  io("replica", start.replica);
  io("replica_keys", start.replica_keys);
  io("replica_names", start.replica_names);
  io("everywhere", start.everywhere);
  io("everywhere_keys", start.everywhere_keys);
  io("everywhere_names", start.everywhere_names);
  io("number", start.number);
  io("row_endpoints", start.row_endpoints);
  io("row_keys", start.row_keys);
  io("active", start.active);
  io("epoch", start.epoch);
  io("joins", start.joins);
}

std::string pack(const Start& start) { return written(start).dump(); }

Start unpack_start(std::string_view payload) { return trusted(read<Start>(payload), "start"); }

template <class Io, Either<Cut> Some>
void fields(Io& io, Some& cut) {
  io("ordinal", cut.ordinal);
  io("evaluate", cut.evaluate);
  io("save", cut.save);
  io("own", cut.own);
  io("last", cut.last);
  io("updates", cut.updates);
  io("applied_rows", cut.applied_rows);
  io("clocks", cut.clocks);
  io("memory", cut.memory);
  io("worklist", cut.worklist);
  io("members", cut.members);
}

std::string pack(const Cut& cut) { return written(cut).dump(); }

std::optional<Cut> unpack_cut(std::string_view payload) { return read<Cut>(payload); }

template <class Io, Either<Coming> Some>
void fields(Io& io, Some& coming) {
  io("attempt", coming.attempt);
  io("rank", coming.rank);
  io("incarnation", coming.incarnation);
  io("public_key", coming.public_key);
  io("until", coming.until);
  io("called_off", coming.called_off);
}

std::string pack(const Coming& coming) { return written(coming).dump(); }

Coming unpack_coming(std::string_view payload) { return trusted(read<Coming>(payload), "coming"); }

template <class Io, Either<Frozen> Some>
void fields(Io& io, Some& frozen) {
  io("step", frozen.step);
  io("complete", frozen.complete);
  io("attempt", frozen.attempt);
  io("over", frozen.over);
  io("entry", frozen.entry);
  io("applied_rows", frozen.applied_rows);
  io("worklist", frozen.worklist);
}

std::string pack(const Frozen& frozen) { return written(frozen).dump(); }

std::optional<Frozen> unpack_frozen(std::string_view payload) { return read<Frozen>(payload); }

template <class Io, Either<Membership> Some>
void fields(Io& io, Some& membership) {
  io("epoch", membership.epoch);
  io("lost", membership.lost);
  io("joined", membership.joined);
  io("active", membership.active);
  io("step", membership.step);
  io("keep_pending", membership.keep_pending);
  io("undone", membership.undone);
}

std::string pack(const Membership& membership) { return written(membership).dump(); }

Membership unpack_membership(std::string_view payload) { return trusted(read<Membership>(payload), "membership"); }

template <class Io, Either<Changed> Some>
void fields(Io& io, Some& changed) {
  io("what", changed.what);
  io("from", changed.from);
  io("to", changed.to);
  io("step", changed.step);
}

std::string pack(const Changed& changed) { return written(changed).dump(); }

std::optional<Changed> unpack_changed(std::string_view payload) { return read<Changed>(payload); }

std::string pack(std::span<const sync::Event> events) {
  static_assert(std::is_trivially_copyable_v<sync::Event>);
  return {reinterpret_cast<const char*>(events.data()), events.size_bytes()};
}

std::optional<std::vector<sync::Event>> unpack_traced(std::string_view payload) {
  if (payload.size() % sizeof(sync::Event) != 0) return std::nullopt;
  std::vector<sync::Event> events(payload.size() / sizeof(sync::Event));
  if (!events.empty()) std::memcpy(static_cast<void*>(events.data()), payload.data(), payload.size());
  const bool known =
      std::all_of(events.begin(), events.end(), [](const sync::Event& e) { return e.what <= sync::Event::What::cut; });
  return known ? std::optional(std::move(events)) : std::nullopt;
}

template <class Io, Either<Failure> Some>
void fields(Io& io, Some& failure) {
  io("code", failure.code);
  io("message", failure.message);
}

/// A message may quote a file, whatever bytes that holds.
std::string pack(const Failure& failure) {
  return written(failure).dump(-1, ' ', false, Json::error_handler_t::replace);
}

std::optional<Failure> unpack_failure(std::string_view payload) {
  std::optional<Failure> failure = read<Failure>(payload);
  if (!failure) return failure;
  const int code = failure->code;
  const bool known =
      (code > 0 && code <= static_cast<int>(Kind::checkpoint)) || code == static_cast<int>(Kind::out_of_time);
  if (!known) failure->code = static_cast<int>(Kind::internal);
  return failure;
}

template <class Io, Either<Tally> Some>
void fields(Io& io, Some& tally) {
  io("compute_seconds", tally.compute_seconds);
  io("wait_seconds", tally.wait_seconds);
  io("communicate_seconds", tally.communicate_seconds);
  io("fetch_seconds", tally.fetch_seconds);
  io("read_seconds", tally.read_seconds);
  io("transform_seconds", tally.transform_seconds);
  io("seconds", tally.seconds);
  io("bytes_sent", tally.payload_sent);
  io("bytes_received", tally.payload_received);
  io("wire_sent", tally.wire_sent);
  io("wire_received", tally.wire_received);
  io("replica_sent", tally.replica_sent);
  io("replica_received", tally.replica_received);
  io("steps", tally.steps);
  io("rows", tally.rows);
  io("staleness", tally.staleness);
  io("refused", tally.refused);
  io("torn", tally.torn);
  io("late", tally.late);
  io("abandoned", tally.abandoned);
  io("rows_never_learned", tally.rows_never_learned);
  io("bounds", tally.bounds);
  io("peak_bytes", tally.peak_bytes);
}

Json to_json(const Tally& tally) { return written(tally); }

std::string pack(const Tally& tally) { return to_json(tally).dump(); }

std::optional<Tally> unpack_tally(std::string_view payload) { return read<Tally>(payload); }

}  // namespace dtrain::role
