#pragma once
/// Real gradients in virtual time: the job's rows, network, division and owners of slices, as the real roles use them.
///
/// Under deterministic policies without losses the weights at the end have the bits of a run of the same plan. Memory
/// grows with workers x weights. One thread drives it; `plan.threads` work in it.

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "data/data.hpp"
#include "data/division.hpp"
#include "data/worklist.hpp"
#include "model/network.hpp"
#include "plan/plan.hpp"
#include "role/evaluate.hpp"
#include "role/owner.hpp"
#include "role/packer.hpp"
#include "sim/freight.hpp"

namespace dtrain::sim {

/// One point of the loss against virtual time.
struct LossPoint {
  double seconds = 0;
  Index rows = 0;   ///< applied until then
  double loss = 0;  ///< mean over the rows since the point before
};

class Training final : public Freight {
 public:
  /// `plan` and `rows` (its training part) must outlive it.
  Training(const plan::Plan& plan, const data::Rows& rows);
  ~Training() override;

  const std::vector<LossPoint>& curve() const { return curve_; }
  /// The model as it would be saved.
  Arena weights();

  void come(Rank rank) override;
  void compute(Rank rank, Clock clock, const sync::Turn& turn) override;
  std::uint64_t rows(Rank rank) const override;
  double loss(Rank rank) const override;
  void apply(const Update& update) override;
  void undo(int server) override { owner(server).undo(); }
  void send(int server, Rank rank, bool folded) override;
  void set_active(const std::vector<Rank>& active, Clock step) override;
  bool finished(Clock clock) const override;

 private:
  struct Worker;

  Worker& worker(Rank rank);
  role::Owner& owner(int server) { return *owners_[static_cast<std::size_t>(server)]; }
  void train_on_rows(Worker& self, std::span<const std::uint32_t> rows, Index step);
  void make_packers();
  void take_signs(Worker& self, Index step);
  void step_alone(Rank rank, Worker& self, Clock clock, const sync::Turn& turn);
  void share_rows(Clock clock);
  void take_in(Worker& self);
  std::vector<role::Contribution> contributions(int server, std::span<const Rank> ranks);
  float clip_factor(std::span<const Rank> ranks);
  void note_losses(const Update& update);

  const plan::Plan& plan_;
  const data::Rows& rows_;
  sync::Traits traits_;
  data::Division division_;
  std::optional<data::Worklist> worklist_;
  model::Network<float> network_;
  Arena features_;
  std::vector<float> targets_;
  std::vector<std::unique_ptr<Worker>> workers_;
  std::optional<role::Unpacker> unpacker_;  ///< of signs
  std::vector<std::unique_ptr<role::Owner>> owners_;
  struct Membership {
    Clock step = 0;
    std::vector<Rank> active;
  };
  std::vector<Membership> memberships_;  ///< the first: everybody
  std::size_t adopted_ = 0;              ///< which of them the division has
  std::vector<LossPoint> curve_;
  double loss_sum_ = 0, loss_rows_ = 0;
};

}  // namespace dtrain::sim
