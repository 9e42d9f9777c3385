#pragma once
/// The worker: computes gradients on its rows. One file a matter: worker.cpp (its life, step after step),
/// worker_step.cpp (one step), worker_exchange.cpp (what comes from servers and goes to them), worker_own.cpp (where
/// workers step by themselves), worker_packed.cpp (where gradients are packed), worker_rows.cpp (where only touched
/// rows travel), worker_replica.cpp (where the network is split), worker_cut.cpp (consistent cuts where each goes on by
/// itself), worker_standby.cpp (when a server's standby takes its place).
///
/// One thread. Included by these files only.

#include <array>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <vector>

#include "data/division.hpp"
#include "data/worklist.hpp"
#include "job/distribution.hpp"
#include "role/connections.hpp"
#include "role/council.hpp"
#include "role/data_doors.hpp"
#include "role/keep.hpp"
#include "role/learner.hpp"
#include "role/link.hpp"
#include "role/owner.hpp"
#include "role/packer.hpp"
#include "role/replica.hpp"
#include "sync/policy.hpp"

namespace dtrain::role {

class Worker final : public model::LayerEvents {
 public:
  Worker(Link& link, const Welcome& welcome, plan::Plan plan);

  std::vector<std::string> endpoints() const { return doors_ ? doors_->endpoints() : std::vector<std::string>(); }
  std::vector<std::string> row_endpoints() const { return learner_.feed().endpoints(); }
  void connect(const Start& start);
  void train();
  void leave();

  bool before_forward(int layer) override;
  bool after_backward(int layer) override;

 private:
  /// What comes from one server.
  struct Inflow {
    wire::Socket socket;
    std::vector<sync::Clock> arrived;     ///< per piece: the clock it is for, plus 1; 0: none yet
    std::vector<std::uint32_t> epochs{};  ///< per piece: of membership, when it was sent
    sync::Clock released = 0;  ///< as `arrived`, of the newest release without weights: a step without rows of ours
    std::uint32_t released_epoch = 0;
    std::uint32_t least_epoch = 0;  ///< older pieces were taken back
    bool over = false;              ///< no decision will follow
    std::size_t loaded = 0;         ///< pieces of this rank's own state that came
  };
  /// Gradients that leave, and who still reads them.
  struct Outgoing {
    Arena values;
    wire::InFlight in_flight;
  };
  /// The newest push, as it was sent: to be sent again if a server is lost that has not answered it.
  struct Pushed {
    sync::Clock clock = 0;
    std::uint64_t rows = 0, note = 0;  ///< as wire::Header has them
    int first_layer = 0;               ///< it and those above it were pushed
    Outgoing* gradient = nullptr;      ///< or, where workers step by themselves:
    Version* version = nullptr;
  };
  /// What was learned since the last exchange.
  struct Since {
    std::uint64_t rows = 0;
    double loss = 0;  ///< summed over the rows
    static Since of(const std::vector<double>& saved);
    std::vector<double> saved() const;
  };
  enum class Outcome { done, again, overtaken };

  // worker.cpp
  bool finished() const;
  bool await_entry();
  bool learn_applied_rows();
  bool begin_step();
  Outcome one_step();
  void close_step();
  void obey(const wire::Message& message);
  void take_membership(const Membership& told);
  void adopt_memberships();
  void adopt(const Membership& told);
  void settle_rounds();
  void await_round();
  void send_tally();

  // worker_step.cpp
  Outcome step();
  Outcome idle_step();
  Outcome sit_out();
  bool train_on_rows();
  bool await_rows(Index step);
  std::span<const std::uint32_t> rows_of_step();
  bool has_rows_now();
  void note_loss(double loss_sum);
  bool pad_step();
  bool overtaken() const { return traits_.abandons && gate_ && gate_->clock > clock_; }
  bool released() const { return gate_ && gate_->clock == clock_; }
  /// Whoever leads a replica gives a step up only before the others of it have begun with it.
  bool interrupted() const { return (stopping_ && !committed_) || restart_ || (stop_wanted_ && !entered_); }

  // worker_cut.cpp
  std::uint64_t cut_to_mark() const;
  void mark_if_due();
  void tell_own_cut(std::uint64_t ordinal, std::vector<sync::Clock> clocks, std::vector<double> memory);
  wire::Header own_piece(std::uint64_t ordinal, std::size_t arena, const plan::Piece& piece);

  // worker_replica.cpp
  bool await_replica();
  bool enter_step(bool passes);
  void look_for_halt();
  void drain_doors();
  void record(const StepRecord& record);

  // worker_exchange.cpp
  bool await_gate();
  bool await_layers(int first, int last);
  bool have_layers(int first, int last) const;
  bool have_all(sync::Clock label) const;
  void await_all(sync::Clock label);
  void poll(int timeout_ms, Phase phase);
  void drain();
  void take(std::size_t server, const wire::Message& message);
  void take_weights(std::size_t server, const wire::Message& message);
  Arena& arena_for(sync::Clock label, std::size_t arena);
  void tell_servers(wire::Type type);
  void tell_server(std::size_t server, wire::Type type, sync::Clock clock);
  void wait_until_sent();
  void push_gradient(int layer);
  void send_push(std::size_t server, std::size_t arena, std::size_t piece);

  // worker_packed.cpp
  void make_packers();
  void begin_packing();
  void send_packed(std::size_t server, wire::Header header, std::span<const float> values);
  void take_change(std::size_t server, const wire::Message& message, const plan::Piece& piece);
  void load_kept(const wire::Message& message);
  void save_kept_if_asked();
  void save_kept(std::uint64_t ordinal);
  void send_kept(std::size_t server, std::uint64_t ordinal);
  void leave_packed();

  // worker_rows.cpp
  bool by_rows() const { return plan_.sparse == plan::Sparse::rows; }
  Index row_cols() const { return plan_.layout.tensors.front().cols; }
  void ask_ahead(sync::Clock clock);
  void send_touched(sync::Clock clock, std::span<const std::uint32_t> rows);
  bool take_rows(const wire::Message& message, const plan::Piece& piece);
  void send_rows(std::size_t server, wire::Header header, const plan::Piece& piece);

  // worker_own.cpp
  bool step_alone();
  void finish_own_step(Index after);
  void forget_momentum();
  void push_own();
  void pull_at_centre(bool has_pushed);
  void copy_own();
  void save_own(Version& version, const Since& since, std::uint64_t ordinal, sync::Clock clock);
  void send_own(std::size_t server, Version& version, std::uint64_t ordinal);
  void save_if_asked(sync::Clock clock);
  void await_over();
  void leave_own();

  // worker_standby.cpp
  void take_over(const TakeOver& told);
  void reconnect(Inflow& inflow, const TakeOver& told);
  bool has_answered(const Inflow& inflow, sync::Clock clock) const;
  void push_again(std::size_t server);
  void save_last_again(std::size_t server);
  void renew_gradient();

  std::span<const float> weights() { return own_ ? own_->current().weights.span() : weights_.span(); }

  Link& link_;
  plan::Plan plan_;
  int rank_;
  sync::Traits traits_;
  std::unique_ptr<sync::Rhythm> rhythm_;
  std::unique_ptr<DataDoors> doors_;  ///< where the network is split: for the others of the replica, who are
  std::unique_ptr<Replica> replica_;
  Learner learner_;
  data::Division division_;
  data::Division ahead_;              ///< the same, a step ahead, where rows are asked for
  std::array<Gathered, 2> gathered_;  ///< of this step and the next, by its number, where touched rows travel
  sync::Clock asked_ = 0;             ///< rows of the steps before this one have been asked for
  std::vector<int> active_;           ///< ranks that take part
  bool joins_ = false;                ///< a run that has begun, and has not been let into it yet
  struct Applied {
    Index rows = 0;
    std::uint32_t epoch = 0;  ///< of membership, when this was told
  };
  std::map<sync::Clock, Applied> applied_before_;  ///< as releases tell, by the step that they are into
  Index applied_rows_ = 0;                  ///< where a step applies the rows of some: by the steps before this one
  std::optional<data::Worklist> worklist_;  ///< under quorum
  std::unique_ptr<Owner> own_;              ///< of its own weights, where workers step by themselves
  Arena weights_;                           ///< otherwise: the servers'
  Arena centre_;                            ///< under easgd: what its weights are pulled at
  std::optional<Packer> packer_;            ///< of gradients
  std::vector<Unpacker> unpackers_;         ///< per server, of changes of the weights
  std::deque<Outgoing> gradients_;          ///< the last is in use; others belong to whoever died while reading them
  std::vector<Contribution> own_gradient_;
  std::span<const std::uint32_t> batch_rows_;
  std::optional<job::Distribution> inject_;
  std::deque<Inflow> servers_;
  Connections connections_;
  sync::Clock clock_ = 0, first_clock_ = 0;
  sync::Clock since_ = 0;              ///< the step that needs a release of its own: the first after an exchange
  std::optional<sync::Release> gate_;  ///< the newest release seen
  sync::Turn turn_;                    ///< of this step
  bool own_state_ = false;             ///< loaded: the weights of the first release are not taken
  std::uint64_t note_ = 0;             ///< a snapshot to add to, plus 1
  std::uint64_t last_note_ = 0;        ///< the newest of these
  std::optional<Pushed> pushed_;
  std::optional<sync::Clock> marked_;  ///< the step that was marked last
  Version* last_saved_ = nullptr;      ///< its own, as it leaves
  bool kept_saved_ = false;            ///< what its codec keeps back, as it leaves
  bool renew_gradient_ = false;        ///< before the next step
  std::string identity_;               ///< on data sockets
  Since since_exchange_;
  Since since_before_;                  ///< the same as it was before the last step
  bool has_rows_ = true;                ///< in the step of this clock
  bool stepped_ = false;                ///< alone, in the last step
  bool computing_ = false;              ///< a step whose weights are all here
  Clock::time_point began_;             ///< computing the step
  std::deque<Membership> memberships_;  ///< told, not yet adopted
  struct Round {
    std::uint32_t epoch;
    Decision decision;
  };
  std::deque<Round> rounds_;         ///< decided, not yet settled
  std::optional<StepRecord> tried_;  ///< what this round's push was, until it is known whether it counts
  std::uint32_t newest_epoch_ = 0;   ///< seen on weights
  bool stop_wanted_ = false;         ///< where we lead a replica: told to stop, which is done between steps
  bool entered_ = false;             ///< a step that the whole replica does
  bool committed_ = false;           ///< not gated: what this step sends and changes has begun
  std::uint64_t cut_wanted_ = 0;     ///< the newest cut that was asked for
  std::uint64_t marked_cut_ = 0;     ///< the newest that is marked
  bool pulled_ = false, leaving_ = false;
  bool stopping_ = false, restart_ = false, mark_wanted_ = false, dismissed_ = false;
  Clock::time_point connected_;
  double wait_seconds_ = 0, communicate_seconds_ = 0, compute_seconds_ = 0, fetch_seconds_ = 0;
  std::uint64_t state_sent_ = 0, state_received_ = 0;  ///< bytes of its own state, which no exchange is made of
  Tally tally_;
};

}  // namespace dtrain::role
