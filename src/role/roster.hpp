#pragma once
/// The members of a run as the coordinator knows them.

#include <algorithm>
#include <deque>
#include <optional>
#include <string>

#include "role/doors.hpp"

namespace dtrain::role {

/// One server or worker, from the plan's point of view; filled in as it joins.
struct Member {
  enum class State { expected, joined, ready, left, lost };
  wire::Role role{};
  int rank = 0;
  bool external = false;
  State state = State::expected;
  std::optional<launch::Child> child;  ///< of this machine
  Address address;
  int descriptor = -1;  ///< of its control connection
  std::uint64_t incarnation = 0;
  std::string public_key;
  std::string data_endpoint;  ///< server, loader
  std::string row_endpoint;   ///< worker that holds a shard
  std::string host;
  std::int64_t pid = 0;
  Clock::time_point last_beat;
  Seconds longest_interval{0};
  std::uint64_t step = 0;
  Phase phase = Phase::joining;
  std::optional<Tally> tally;
  std::optional<Failure> failure;  ///< as it told us

  std::string name() const { return std::string(wire::name(role)) + " " + std::to_string(rank); }
  bool present() const { return state == State::joined || state == State::ready; }
};

class Roster {
 public:
  Roster(const plan::Plan& plan) {
    for (int m = 0; m < plan.servers; ++m)
      add(wire::Role::server, m, m >= plan.servers - plan.job.topology.external_servers);
    for (int w = 0; w < plan.processes(); ++w)
      add(wire::Role::worker, w, w >= plan.processes() - plan.job.topology.external);
    for (int k = 0; k < plan.loaders(); ++k) add(wire::Role::loader, k, false);
  }

  std::deque<Member>& all() { return members_; }
  Member& server(int rank) { return members_.at(static_cast<std::size_t>(rank)); }
  Member& loader(int rank) { return members_.at(members_.size() - static_cast<std::size_t>(loaders_ - rank)); }
  Member& worker(int rank) { return members_.at(static_cast<std::size_t>(servers_ + rank)); }

  /// Of a cell's weights, by its rank there: a server or, where there is none, a worker.
  Member& owner(const plan::Plan& plan, int cell, int rank) {
    return servers_ > 0 ? server(cell * plan.servers_of_cell() + rank) : worker(plan.grid.rank_of(rank, cell));
  }

  Member* at(const Address& address) {
    for (Member& member : members_)
      if (member.state != Member::State::expected && member.address == address) return &member;
    return nullptr;
  }
  /// The member that a child's ticket names; nullptr for anything else.
  Member* by_ticket(const std::string& ticket) {
    for (Member& member : members_)
      if (!member.external && member.name() == ticket) return &member;
    return nullptr;
  }
  /// The first place that is free for somebody from outside.
  Member* free_place(wire::Role role) {
    for (Member& member : members_)
      if (member.external && member.role == role && member.state == Member::State::expected) return &member;
    return nullptr;
  }

  bool all_in(Member::State state) const {
    return std::all_of(members_.begin(), members_.end(),
                       [state](const Member& m) { return m.state == state || m.state == Member::State::lost; });
  }
  std::vector<int> active_workers() const {
    std::vector<int> ranks;
    for (const Member& member : members_)
      if (member.role == wire::Role::worker && member.state != Member::State::lost) ranks.push_back(member.rank);
    return ranks;
  }
  /// "worker 1, worker 2"
  std::string missing(Member::State below) const {
    std::string names;
    for (const Member& member : members_)
      if (member.state < below) names += (names.empty() ? "" : ", ") + member.name();
    return names;
  }

 private:
  void add(wire::Role role, int rank, bool external) {
    Member& member = members_.emplace_back();
    member.role = role;
    member.rank = rank;
    member.external = external;
    member.last_beat = Clock::now();
    if (role == wire::Role::server) ++servers_;
    if (role == wire::Role::loader) ++loaders_;
  }
  std::deque<Member> members_;
  int servers_ = 0, loaders_ = 0;
};

}  // namespace dtrain::role
