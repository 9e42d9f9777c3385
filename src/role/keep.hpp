#pragma once
/// What a server tells its standby of an update, and what is told when one of the two is lost
/// (faults.replicas: 1; the whole of it is told in role/server_standby.cpp).

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "sync/ledger.hpp"
#include "sync/policy.hpp"
#include "sync/trace.hpp"

namespace dtrain::role {

/// Payload of `keep_all`: what an update led to beside the numbers, and what the policy was told until then.
struct Keep {
  std::vector<sync::Push> pushes;  ///< that the policy has taken since the `keep_all` before, in order
  bool stepped = false;            ///< pieces of a new version come before it; otherwise that stays
  std::uint64_t updates = 0;
  std::int64_t applied_rows = 0;
  std::uint64_t steps = 0;        ///< that count in snapshots' ordinals
  std::uint64_t evaluations = 0;  ///< of a policy that is not gated, so far
  std::optional<std::uint64_t> save_after;
  sync::Ledger::State ledger;
  std::vector<sync::Event> events;  ///< of the trace, since the `keep_all` before
  std::uint64_t ordinal = 0;        ///< of the snapshot that falls due with this update; 0: none
  bool evaluate = false, save = false;
};
std::string pack(const Keep& keep);
std::optional<Keep> unpack_keep(std::string_view payload);

/// Payload of `take_over`. To a standby: from here on it is the server. To workers: where that is now. To a server: its
/// standby is gone.
struct TakeOver {
  int rank = 0;             ///< of the server
  std::uint32_t epoch = 0;  ///< from here on
  bool alone = false;       ///< the standby was lost
  std::string name, endpoint, key;
  std::uint64_t events = 0;              ///< of the trace, that have come from the lost server
  std::vector<std::uint64_t> snapshots;  ///< ordinals of those whose part of this server is here
  std::uint64_t cut = 0;                 ///< the newest that was asked for; it is given up
};
std::string pack(const TakeOver& told);
/// The coordinator is trusted: throws Error(Kind::internal) if it cannot be read.
TakeOver unpack_take_over(std::string_view payload);

}  // namespace dtrain::role
