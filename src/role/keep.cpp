#include "role/keep.hpp"

#include <bit>

#include "role/payload.hpp"

namespace dtrain::role {
namespace {

/// Numbers only: a loss may be none that Json knows.
Json push_json(const sync::Push& push) {
  return {push.rank, push.clock, push.rows, std::bit_cast<std::uint64_t>(push.loss),
          std::bit_cast<std::uint64_t>(push.now)};
}

sync::Push push_of(const Json& json) {
  return {json.at(0), json.at(1), json.at(2), std::bit_cast<double>(json.at(3).get<std::uint64_t>()),
          std::bit_cast<double>(json.at(4).get<std::uint64_t>())};
}

Json event_json(const sync::Event& event) {
  return {static_cast<int>(event.what), event.server, event.rank, event.clock, event.version, event.rows};
}

sync::Event event_of(const Json& json) {
  const int what = json.at(0);
  if (what < 0 || what > static_cast<int>(sync::Event::What::cut)) throw std::out_of_range("no such event");
  return {static_cast<sync::Event::What>(what), json.at(1), json.at(2), json.at(3), json.at(4), json.at(5)};
}

}  // namespace

std::string pack(const Keep& keep) {
  Json json{{"pushes", Json::array()},
            {"stepped", keep.stepped},
            {"updates", keep.updates},
            {"applied_rows", keep.applied_rows},
            {"steps", keep.steps},
            {"evaluations", keep.evaluations},
            {"save_after", keep.save_after ? Json(*keep.save_after) : Json()},
            {"version", keep.ledger.version},
            {"pulled", keep.ledger.pulled},
            {"histogram", keep.ledger.histogram},
            {"events", Json::array()},
            {"ordinal", keep.ordinal},
            {"evaluate", keep.evaluate},
            {"save", keep.save}};
  for (const sync::Push& push : keep.pushes) json["pushes"].push_back(push_json(push));
  for (const sync::Event& event : keep.events) json["events"].push_back(event_json(event));
  return json.dump();
}

std::optional<Keep> unpack_keep(std::string_view payload) {
  return attempt(payload, [](const Json& json) {
    Keep keep;
    for (const Json& push : json.at("pushes")) keep.pushes.push_back(push_of(push));
    keep.stepped = json.at("stepped");
    keep.updates = json.at("updates");
    keep.applied_rows = json.at("applied_rows");
    keep.steps = json.at("steps");
    keep.evaluations = json.at("evaluations");
    if (!json.at("save_after").is_null()) keep.save_after = json.at("save_after").get<std::uint64_t>();
    keep.ledger.version = json.at("version");
    keep.ledger.pulled = json.at("pulled").get<std::vector<std::uint64_t>>();
    keep.ledger.histogram = json.at("histogram").get<std::vector<std::uint64_t>>();
    for (const Json& event : json.at("events")) keep.events.push_back(event_of(event));
    keep.ordinal = json.at("ordinal");
    keep.evaluate = json.at("evaluate");
    keep.save = json.at("save");
    return keep;
  });
}

template <class Io, Either<TakeOver> Some>
void fields(Io& io, Some& told) {
  io("rank", told.rank);
  io("epoch", told.epoch);
  io("alone", told.alone);
  io("name", told.name);
  io("endpoint", told.endpoint);
  io("key", told.key);
  io("events", told.events);
  io("snapshots", told.snapshots);
  io("cut", told.cut);
}

std::string pack(const TakeOver& told) { return written(told).dump(); }

TakeOver unpack_take_over(std::string_view payload) { return trusted(read<TakeOver>(payload), "take_over"); }

}  // namespace dtrain::role
