#include "role/squares.hpp"

#include <cstring>

namespace dtrain::role {

std::vector<std::vector<double>>& Squares::sums_of(const UpdateKey& key) {
  auto& sums = sums_[key];
  sums.resize(static_cast<std::size_t>(servers_));
  return sums;
}

void Squares::announce(const UpdateKey& key, std::vector<double> own) {
  wire::Header header;
  header.type = wire::Type::squares;
  header.clock = key.clock;
  header.rows = key.pusher;
  header.slice = static_cast<std::uint32_t>(number_);
  header.due = key.epoch;
  for (wire::Socket* other : others_) other->send(link_.self(), header, std::as_bytes(std::span(own)));
  sums_of(key)[static_cast<std::size_t>(number_)] = std::move(own);
}

bool Squares::take(const wire::Message& message) {
  const wire::Header& header = message.header;
  if (header.sender_role != wire::Role::server || header.slice >= static_cast<std::uint32_t>(servers_) ||
      header.payload == 0 || header.payload % sizeof(double) != 0)
    return false;
  const std::uint32_t epoch = by_epoch_ ? static_cast<std::uint32_t>(header.due) : 0;
  std::vector<double>& sums = sums_of({epoch, header.rows, header.clock})[header.slice];
  sums.resize(header.payload / sizeof(double));
  std::memcpy(sums.data(), message.payload.data(), header.payload);
  return true;
}

std::optional<double> Squares::total(const UpdateKey& key) const {
  const auto found = sums_.find(key);
  if (found == sums_.end()) return std::nullopt;
  double total = 0;
  for (const std::vector<double>& sums : found->second) {
    if (sums.empty()) return std::nullopt;
    for (const double sum : sums) total += sum;
  }
  return total;
}

}  // namespace dtrain::role
