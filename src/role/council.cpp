#include "role/council.hpp"

#include <algorithm>
#include <bit>
#include <cstring>

namespace dtrain::role {

std::string pack(const Decision& decision) {
  std::vector<std::uint64_t> words{decision.clock, decision.save, decision.fold.size(), decision.release.size(),
                                   decision.empty.size()};
  for (const sync::Rank rank : decision.fold) words.push_back(static_cast<std::uint64_t>(rank));
  for (const sync::Release& r : decision.release)
    words.insert(words.end(), {static_cast<std::uint64_t>(r.rank), r.clock, r.due});
  for (const sync::Rank rank : decision.empty) words.push_back(static_cast<std::uint64_t>(rank));
  return {reinterpret_cast<const char*>(words.data()), words.size() * sizeof(std::uint64_t)};
}

std::optional<Decision> unpack_decision(std::string_view payload) {
  std::vector<std::uint64_t> words(payload.size() / sizeof(std::uint64_t));
  if (payload.size() % sizeof(std::uint64_t) != 0 || words.size() < 5) return std::nullopt;
  std::memcpy(words.data(), payload.data(), payload.size());
  const std::uint64_t folded = words[2], released = words[3], empty = words[4];
  if (std::max({folded, released, empty}) > words.size() || words.size() != 5 + folded + 3 * released + empty)
    return std::nullopt;
  Decision out{words[0], words[1] != 0, {}, {}, {}};
  auto at = words.begin() + 5;
  for (std::uint64_t i = 0; i < folded; ++i) out.fold.push_back(static_cast<sync::Rank>(*at++));
  for (std::uint64_t i = 0; i < released; ++i, at += 3)
    out.release.push_back({static_cast<sync::Rank>(at[0]), at[1], at[2]});
  for (std::uint64_t i = 0; i < empty; ++i) out.empty.push_back(static_cast<sync::Rank>(*at++));
  return out;
}

std::optional<sync::Push> Council::note(const sync::Push& push, std::size_t server) {
  Arrival& arrival = arrivals_.at(static_cast<std::size_t>(push.rank));
  if (arrival.at.empty() || arrival.clock != push.clock) {
    if (!arrival.at.empty() && push.clock < arrival.clock) return std::nullopt;
    arrival = {push.clock, std::vector<bool>(static_cast<std::size_t>(servers_), false)};
  }
  if (arrival.at.at(server)) return std::nullopt;
  arrival.at[server] = true;
  const bool everywhere = std::all_of(arrival.at.begin(), arrival.at.end(), [](bool here) { return here; });
  return everywhere ? std::optional(push) : std::nullopt;
}

std::optional<sync::Push> Council::arrived(const sync::Push& push) {
  if (decides()) return note(push, 0);
  wire::Header header;
  header.type = wire::Type::arrived;
  header.clock = push.clock;
  header.rows = static_cast<std::uint64_t>(push.rank) + 1;
  header.count = push.rows;
  header.note = std::bit_cast<std::uint64_t>(push.loss);
  others_.front().send(link_.self(), header, std::string_view());
  return std::nullopt;
}

std::optional<sync::Push> Council::take(const wire::Message& message) {
  const wire::Header& header = message.header;
  if (!decides() || header.sender_role != wire::Role::server ||
      header.sender_rank >= static_cast<std::uint32_t>(servers_) || header.rows == 0 || header.rows > arrivals_.size())
    return std::nullopt;
  return note(
      {static_cast<sync::Rank>(header.rows - 1), header.clock, header.count, std::bit_cast<double>(header.note), 0},
      header.sender_rank);
}

void Council::announce(const Decision& decision) {
  wire::Header header;
  header.type = wire::Type::decided;
  header.clock = decision.clock;
  const std::string payload = pack(decision);
  for (wire::Socket& other : others_) other.send(link_.self(), header, payload);
}

}  // namespace dtrain::role
