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

std::string pack(const Join& join) {
  return Json{{"role", static_cast<int>(join.role)},
              {"host", join.host},
              {"cores", join.cores},
              {"pid", join.pid},
              {"ticket", join.ticket},
              {"secret", join.secret},
              {"public_key", join.public_key}}
      .dump();
}

std::optional<Join> unpack_join(std::string_view payload) {
  return attempt(payload, [](const Json& json) {
    Join join;
    const int role = json.at("role");
    join.role = role == static_cast<int>(wire::Role::server) || role == static_cast<int>(wire::Role::loader)
                    ? static_cast<wire::Role>(role)
                    : wire::Role::worker;
    join.host = shown(json.at("host"));
    join.cores = json.at("cores");
    join.pid = json.at("pid");
    join.ticket = json.at("ticket");
    join.secret = json.at("secret");
    join.public_key = json.at("public_key");
    return join;
  });
}

std::string pack(const Welcome& welcome) {
  return Json{{"rank", welcome.rank},
              {"nonce", welcome.nonce},
              {"epoch", welcome.epoch},
              {"job", welcome.job_text},
              {"host", {{"name", welcome.host.name}, {"cores", welcome.host.cores}, {"memory", welcome.host.memory}}},
              {"facts",
               {{"train_rows", welcome.facts.train_rows},
                {"test_rows", welcome.facts.test_rows},
                {"hash", welcome.facts.hash},
                {"nonzeros", welcome.facts.nonzeros},
                {"skipped_rows", welcome.facts.skipped_rows},
                {"shards", {{"classes", welcome.facts.shards.classes}, {"rows", welcome.facts.shards.rows}}}}},
              {"encoding", welcome.encoding.to_json()},
              {"bind", welcome.bind},
              {"bind_rows", welcome.bind_rows},
              {"secure", welcome.secure},
              {"probe_block", welcome.probe_block},
              {"probe_place", welcome.probe_place},
              {"chaos", welcome.chaos},
              {"life", welcome.life}}
      .dump();
}

Welcome unpack_welcome(std::string_view payload) {
  return trusted(attempt(payload,
                         [](const Json& json) {
                           Welcome welcome;
                           welcome.rank = json.at("rank");
                           welcome.nonce = json.at("nonce");
                           welcome.epoch = json.at("epoch");
                           welcome.job_text = json.at("job");
                           const Json& host = json.at("host");
                           welcome.host = {host.at("name"), host.at("cores"), host.at("memory")};
                           const Json& facts = json.at("facts");
                           welcome.facts = {facts.at("train_rows"),
                                            facts.at("test_rows"),
                                            facts.at("hash"),
                                            {facts.at("shards").at("classes"), facts.at("shards").at("rows")}};
                           welcome.facts.nonzeros = facts.at("nonzeros");
                           welcome.facts.skipped_rows = facts.at("skipped_rows");
                           welcome.encoding = data::Encoding::from_json(json.at("encoding"));
                           welcome.bind = json.at("bind").get<std::vector<std::string>>();
                           welcome.bind_rows = json.at("bind_rows").get<std::vector<std::string>>();
                           welcome.secure = json.at("secure");
                           welcome.probe_block = json.at("probe_block");
                           welcome.probe_place = json.at("probe_place");
                           welcome.chaos = json.at("chaos");
                           welcome.life = json.at("life");
                           return welcome;
                         }),
                 "welcome");
}

std::string pack(const Confession& confession) {
  return Json{{"fault", confession.fault}, {"step", confession.step}, {"waits", confession.waits}}.dump();
}

std::optional<Confession> unpack_confession(std::string_view payload) {
  return attempt(payload, [](const Json& json) {
    return Confession{json.at("fault"), json.at("step"), json.at("waits")};
  });
}

std::string pack(const Ready& ready) {
  return Json{{"endpoints", ready.endpoints}, {"row_endpoints", ready.row_endpoints}}.dump();
}

std::optional<Ready> unpack_ready(std::string_view payload) {
  return attempt(payload, [](const Json& json) {
    return Ready{json.at("endpoints").get<std::vector<std::string>>(),
                 json.at("row_endpoints").get<std::vector<std::string>>()};
  });
}

std::string pack(const Start& start) {
  return Json{{"endpoints", start.endpoints},
              {"keys", start.keys},
              {"allowed", start.allowed},
              {"stands_by", start.stands_by},
              {"standby", start.standby},
              {"standby_key", start.standby_key},
              {"clocks", start.clocks},
              {"updates", start.updates},
              {"applied_rows", start.applied_rows},
              {"memory", start.memory},
              {"worklist", start.worklist},
              {"own_updates", start.own_updates},
              {"own_since", start.own_since},
              {"names", start.names},
              {"replica", start.replica},
              {"replica_keys", start.replica_keys},
              {"replica_names", start.replica_names},
              {"everywhere", start.everywhere},
              {"everywhere_keys", start.everywhere_keys},
              {"everywhere_names", start.everywhere_names},
              {"number", start.number},
              {"row_endpoints", start.row_endpoints},
              {"row_keys", start.row_keys},
              {"active", start.active},
              {"epoch", start.epoch},
              {"joins", start.joins}}
      .dump();
}

Start unpack_start(std::string_view payload) {
  return trusted(attempt(payload,
                         [](const Json& json) {
                           Start start;
                           start.endpoints = json.at("endpoints").get<std::vector<std::string>>();
                           start.keys = json.at("keys").get<std::vector<std::string>>();
                           start.names = json.at("names").get<std::vector<std::string>>();
                           start.replica = json.at("replica").get<std::vector<std::string>>();
                           start.replica_keys = json.at("replica_keys").get<std::vector<std::string>>();
                           start.replica_names = json.at("replica_names").get<std::vector<std::string>>();
                           start.everywhere = json.at("everywhere").get<std::vector<std::string>>();
                           start.everywhere_keys = json.at("everywhere_keys").get<std::vector<std::string>>();
                           start.everywhere_names = json.at("everywhere_names").get<std::vector<std::string>>();
                           start.number = json.at("number");
                           start.row_endpoints = json.at("row_endpoints").get<std::vector<std::string>>();
                           start.row_keys = json.at("row_keys").get<std::vector<std::string>>();
                           start.allowed = json.at("allowed").get<std::vector<std::string>>();
                           start.stands_by = json.at("stands_by");
                           start.standby = json.at("standby");
                           start.standby_key = json.at("standby_key");
                           start.clocks = json.at("clocks").get<std::vector<std::uint64_t>>();
                           start.updates = json.at("updates");
                           start.applied_rows = json.at("applied_rows");
                           start.memory = json.at("memory").get<std::vector<double>>();
                           start.worklist = json.at("worklist").get<std::vector<std::int64_t>>();
                           start.own_updates = json.at("own_updates").get<std::vector<std::uint64_t>>();
                           start.own_since = json.at("own_since").get<std::vector<std::vector<double>>>();
                           start.active = json.at("active").get<std::vector<int>>();
                           start.epoch = json.at("epoch");
                           start.joins = json.at("joins");
                           return start;
                         }),
                 "start");
}

std::string pack(const Cut& cut) {
  return Json{{"ordinal", cut.ordinal},
              {"evaluate", cut.evaluate},
              {"save", cut.save},
              {"own", cut.own},
              {"last", cut.last},
              {"updates", cut.updates},
              {"applied_rows", cut.applied_rows},
              {"clocks", cut.clocks},
              {"memory", cut.memory},
              {"worklist", cut.worklist},
              {"members", cut.members}}
      .dump();
}

std::optional<Cut> unpack_cut(std::string_view payload) {
  return attempt(payload, [](const Json& json) {
    Cut cut;
    cut.ordinal = json.at("ordinal");
    cut.evaluate = json.at("evaluate");
    cut.save = json.at("save");
    cut.own = json.at("own");
    cut.last = json.at("last");
    cut.updates = json.at("updates");
    cut.applied_rows = json.at("applied_rows");
    cut.clocks = json.at("clocks").get<std::vector<std::uint64_t>>();
    cut.memory = json.at("memory").get<std::vector<double>>();
    cut.worklist = json.at("worklist").get<std::vector<std::int64_t>>();
    cut.members = json.at("members").get<std::vector<int>>();
    return cut;
  });
}

std::string pack(const Coming& coming) {
  return Json{{"attempt", coming.attempt},       {"rank", coming.rank},   {"incarnation", coming.incarnation},
              {"public_key", coming.public_key}, {"until", coming.until}, {"called_off", coming.called_off}}
      .dump();
}

Coming unpack_coming(std::string_view payload) {
  return trusted(attempt(payload,
                         [](const Json& json) {
                           return Coming{json.at("attempt"),    json.at("rank"),  json.at("incarnation"),
                                         json.at("public_key"), json.at("until"), json.at("called_off")};
                         }),
                 "coming");
}

std::string pack(const Frozen& frozen) {
  return Json{{"step", frozen.step},        {"complete", frozen.complete}, {"attempt", frozen.attempt},
              {"over", frozen.over},        {"entry", frozen.entry},       {"applied_rows", frozen.applied_rows},
              {"worklist", frozen.worklist}}
      .dump();
}

std::optional<Frozen> unpack_frozen(std::string_view payload) {
  return attempt(payload, [](const Json& json) {
    return Frozen{json.at("step"),
                  json.at("complete"),
                  json.at("attempt"),
                  json.at("over"),
                  json.at("entry"),
                  json.at("applied_rows"),
                  json.at("worklist").get<std::vector<std::int64_t>>()};
  });
}

std::string pack(const Membership& membership) {
  return Json{{"epoch", membership.epoch},   {"lost", membership.lost}, {"joined", membership.joined},
              {"active", membership.active}, {"step", membership.step}, {"keep_pending", membership.keep_pending},
              {"undone", membership.undone}}
      .dump();
}

Membership unpack_membership(std::string_view payload) {
  return trusted(attempt(payload,
                         [](const Json& json) {
                           Membership out;
                           out.epoch = json.at("epoch");
                           out.lost = json.at("lost");
                           out.joined = json.at("joined");
                           out.active = json.at("active").get<std::vector<int>>();
                           out.step = json.at("step");
                           out.keep_pending = json.at("keep_pending");
                           out.undone = json.at("undone").get<std::vector<int>>();
                           return out;
                         }),
                 "membership");
}

std::string pack(const Changed& changed) {
  return Json{{"what", changed.what}, {"from", changed.from}, {"to", changed.to}, {"step", changed.step}}.dump();
}

std::optional<Changed> unpack_changed(std::string_view payload) {
  return attempt(payload, [](const Json& json) {
    return Changed{json.at("what"), json.at("from"), json.at("to"), json.at("step")};
  });
}

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

/// A message may quote a file, whatever bytes that holds.
std::string pack(const Failure& failure) {
  return Json{{"code", failure.code}, {"message", failure.message}}.dump(-1, ' ', false,
                                                                         Json::error_handler_t::replace);
}

std::optional<Failure> unpack_failure(std::string_view payload) {
  return attempt(payload, [](const Json& json) {
    const int code = json.at("code");
    const bool known =
        (code > 0 && code <= static_cast<int>(Kind::checkpoint)) || code == static_cast<int>(Kind::out_of_time);
    return Failure{known ? code : static_cast<int>(Kind::internal), json.at("message")};
  });
}

Json to_json(const Tally& tally) {
  return Json{{"compute_seconds", tally.compute_seconds},
              {"wait_seconds", tally.wait_seconds},
              {"communicate_seconds", tally.communicate_seconds},
              {"fetch_seconds", tally.fetch_seconds},
              {"read_seconds", tally.read_seconds},
              {"transform_seconds", tally.transform_seconds},
              {"seconds", tally.seconds},
              {"bytes_sent", tally.payload_sent},
              {"bytes_received", tally.payload_received},
              {"wire_sent", tally.wire_sent},
              {"wire_received", tally.wire_received},
              {"replica_sent", tally.replica_sent},
              {"replica_received", tally.replica_received},
              {"steps", tally.steps},
              {"rows", tally.rows},
              {"staleness", tally.staleness},
              {"refused", tally.refused},
              {"torn", tally.torn},
              {"late", tally.late},
              {"abandoned", tally.abandoned},
              {"rows_never_learned", tally.rows_never_learned},
              {"bounds", tally.bounds},
              {"peak_bytes", tally.peak_bytes}};
}

std::string pack(const Tally& tally) { return to_json(tally).dump(); }

std::optional<Tally> unpack_tally(std::string_view payload) {
  return attempt(payload, [](const Json& json) {
    Tally tally;
    tally.compute_seconds = json.at("compute_seconds");
    tally.wait_seconds = json.at("wait_seconds");
    tally.communicate_seconds = json.at("communicate_seconds");
    tally.fetch_seconds = json.at("fetch_seconds");
    tally.read_seconds = json.at("read_seconds");
    tally.transform_seconds = json.at("transform_seconds");
    tally.seconds = json.at("seconds");
    tally.payload_sent = json.at("bytes_sent");
    tally.payload_received = json.at("bytes_received");
    tally.wire_sent = json.at("wire_sent");
    tally.wire_received = json.at("wire_received");
    tally.replica_sent = json.at("replica_sent");
    tally.replica_received = json.at("replica_received");
    tally.steps = json.at("steps");
    tally.rows = json.at("rows");
    tally.staleness = json.at("staleness").get<std::vector<std::uint64_t>>();
    tally.refused = json.at("refused");
    tally.torn = json.at("torn");
    tally.late = json.at("late");
    tally.abandoned = json.at("abandoned");
    tally.rows_never_learned = json.at("rows_never_learned");
    tally.bounds = json.at("bounds").get<std::map<std::string, std::int64_t>>();
    tally.peak_bytes = json.at("peak_bytes");
    return tally;
  });
}

}  // namespace dtrain::role
