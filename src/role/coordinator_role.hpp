#pragma once
/// The coordinator of a run of several processes: who takes part, what they are told, and what comes of them. In three
/// files: coordinator.cpp (from spawning to parting), coordinator_start.cpp (what all are told and start from) and
/// coordinator_members.cpp (who is lost, and how the others go on).
///
/// One thread. Included by these files only.

#include <deque>
#include <optional>
#include <string>
#include <vector>

#include "base/hash.hpp"
#include "role/connections.hpp"
#include "role/coordinator.hpp"
#include "role/joint_assembly.hpp"
#include "role/roster.hpp"

namespace dtrain::role {

class Coordinator {
 public:
  explicit Coordinator(Course& course)
      : course_(course),
        plan_(course.plan()),
        nonce_(entropy()),
        doors_(context_, nonce_, outer_door(course)),
        roster_(plan_),
        assembly_(plan_),
        states_(parts_of(plan_, course.take_initial_state())),
        connections_(context_, Seconds(plan_.job.faults.join_within)) {}

  std::vector<RoleReport> run();

 private:
  static Doors::Outer outer_door(const Course& course);
  void train_all();
  void note_fault(const Error& error);
  void spawn();
  void announce();
  void form();
  void start();
  void send_recording();
  Start start_of(const Member& reader, Start start);
  Start start_with_rows(const Member& reader, Start start);
  void load(int cell, int owner, const store::State& state);
  void load_arena(const plan::Plan& plan, int owner, std::size_t index, const Arena& arena, std::size_t worker);
  void load_piece(const plan::Piece& piece, std::size_t index, const Arena& arena, std::size_t worker);
  void train();
  void part();
  void end_children(bool kindly);

  void pump(int timeout_ms);
  void hear(Knock& knock);
  void admit(const Knock& knock);
  void welcome(Member& member, const Knock& knock, const Join& join);
  std::vector<std::string> binds(const Member& member, const wire::Message& message, const char* kind) const;
  int cell_of(const Member& member) const;
  int rank_in_cell(const Member& member) const;
  int first_owner(int cell) const;
  static std::string endpoint_for(const std::string& endpoints, const Member& reader);
  void note_progress(Member& member, const wire::Message& message);
  void note_cut(const Member& member, const Cut& cut);
  void note_change(const Member& member, const Changed& changed);
  void check_children();
  void hear_last_words(const Member& member, const launch::Exit& exit);
  void check_connections();
  void forgive_pause();
  void check_stalls();
  void lose(Member& member, const std::string& how);
  void settle_membership();
  void settle_step(Membership& membership);
  void collect_snapshots();
  [[noreturn]] void fail_lost(const Member& member, const std::string& how);
  void tell_all(wire::Type type, std::string_view payload = {});
  std::vector<RoleReport> reports();

  Course& course_;
  const plan::Plan& plan_;
  std::uint64_t nonce_;
  wire::Context context_;
  wire::SharedMemory memory_;  ///< of others: what they save lies there
  Arena probe_;                ///< for others to see whether they can see it
  Doors doors_;
  Roster roster_;
  JointAssembly assembly_;
  std::deque<store::State> states_;  ///< that the owners of each cell's weights start from
  wire::InFlight loading_;
  std::deque<wire::Socket> data_;  ///< one to each owner of weights, cell by cell
  Connections connections_;        ///< of these
  bool training_ = false, stop_told_ = false, all_told_ = false, last_seen_ = false;
  std::uint32_t epoch_ = 0;
  std::optional<int> settling_;  ///< a lost worker whose step in flight is being settled
  std::deque<int> to_settle_;
  std::vector<std::optional<Frozen>> frozen_;
  Clock::time_point looked_ = Clock::now();  ///< for stalls
};

}  // namespace dtrain::role
