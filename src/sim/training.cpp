#include "sim/training.hpp"

#include <algorithm>
#include <cmath>

#include "base/error.hpp"
#include "model/layout.hpp"
#include "optim/optimizer.hpp"
#include "plan/packing.hpp"
#include "role/role.hpp"
#include "sync/update.hpp"

namespace dtrain::sim {

using Exchange = sync::Turn::Exchange;

namespace {

constexpr Index curve_points = 100;

void copy(std::span<const float> from, std::span<float> to) { std::copy(from.begin(), from.end(), to.begin()); }

[[noreturn]] void diverged(const char* what, Clock clock) {
  fail(Kind::diverged,
       "the {} of step {} is not finite; a lower train.optimizer.learning_rate or train.clip_norm may help", what,
       clock + 1);
}

}  // namespace

struct Training::Worker {
  Arena weights;                       ///< that it was sent, and averaged moments behind them
  std::optional<role::Packer> packer;  ///< of signs
  Arena gradient;
  std::unique_ptr<role::Owner> own;    ///< where it steps by itself
  bool comes = true;                   ///< what it is sent replaces what it has
  Exchange last = Exchange::none;      ///< what the weights answer
  bool elastic_from_previous = false;  ///< what it pushed is its own version before the last
  double loss_since = 0;
  std::uint64_t rows_since = 0;
  std::uint64_t rows_pushed = 0;
  double loss_pushed = 0;
};

Training::Training(const plan::Plan& plan, const data::Rows& rows)
    : plan_(plan),
      rows_(rows),
      traits_(sync::traits(plan.job.sync)),
      division_(plan.job, plan.facts, role::everyone(plan.workers)),
      network_(plan.job.model, plan.width, plan.worker_rows(), plan.threads),
      features_(plan.worker_rows() * plan.width),
      targets_(static_cast<std::size_t>(plan.worker_rows())),
      memberships_{{0, role::everyone(plan.workers)}} {
  division_.know(rows);
  if (traits_.abandons) worklist_.emplace(plan.job, plan.facts);
  for (int r = 0; r < plan.workers; ++r) {
    Worker& self = *workers_.emplace_back(std::make_unique<Worker>());
    self.weights = Arena(plan.layout.total * plan.exchanged_arenas());
    self.gradient = Arena(plan.layout.total);
    if (traits_.weights) self.own.reset(new role::Owner(role::Owner::of_worker(plan, plan.threads)));
  }
  if (traits_.votes) make_packers();
  Arena initial(plan.layout.total);
  model::initialise(plan.job.model, plan.layout, plan.job.seed, initial.span());
  for (std::size_t m = 0; m < plan.slices.size(); ++m) {
    role::Owner& owner = *owners_.emplace_back(std::make_unique<role::Owner>(plan, static_cast<int>(m), plan.threads));
    const plan::Slice& slice = plan.slices[m];
    const auto part = initial.span().subspan(static_cast<std::size_t>(slice.begin),
                                             static_cast<std::size_t>(slice.end - slice.begin));
    copy(part, owner.current().weights.span());
    copy(part, owner.stored(0).span());
  }
}

Training::~Training() = default;

void Training::make_packers() {
  if (!plan::packs_gradients(plan_)) return;
  const codec::Options options = plan::codec_options(plan_.job);
  std::vector<plan::Piece> pieces;
  for (const plan::Slice& slice : plan_.slices) pieces.insert(pieces.end(), slice.pieces.begin(), slice.pieces.end());
  unpacker_.emplace(options, plan::codec_number(plan_.job), pieces);
  for (std::size_t r = 0; r < workers_.size(); ++r)
    workers_[r]->packer.emplace(options, plan_.job.seed, static_cast<std::uint32_t>(r), pieces,
                                plan::kept_arenas(plan_));
}

Training::Worker& Training::worker(Rank rank) { return *workers_[static_cast<std::size_t>(rank)]; }

std::uint64_t Training::rows(Rank rank) const { return workers_[static_cast<std::size_t>(rank)]->rows_pushed; }
double Training::loss(Rank rank) const { return workers_[static_cast<std::size_t>(rank)]->loss_pushed; }

void Training::come(Rank rank) {
  Worker& self = worker(rank);
  self.comes = true;
  self.loss_since = 0, self.rows_since = 0;
}

bool Training::finished(Clock clock) const {
  return worklist_ ? worklist_->finished() : clock >= static_cast<Clock>(plan_.total_steps);
}

void Training::set_active(const std::vector<Rank>& active, Clock step) {
  if (worklist_)
    for (const Rank rank : memberships_.back().active)
      if (!std::binary_search(active.begin(), active.end(), rank)) worklist_->lose(rank);
  memberships_.push_back({step, active});
}

/// Workers may be in different steps, on either side of a change.
void Training::share_rows(Clock clock) {
  if (worklist_) return;
  std::size_t newest = memberships_.size() - 1;
  while (traits_.gated && newest > 0 && memberships_[newest].step >= clock) --newest;
  if (newest != adopted_) division_.set_active(memberships_[newest].active);
  adopted_ = newest;
}

void Training::compute(Rank rank, Clock clock, const sync::Turn& turn) {
  Worker& self = worker(rank);
  take_in(self);
  self.last = turn.exchange;
  if (!turn.computes) return;
  share_rows(clock);
  if (self.own) return step_alone(rank, self, clock, turn);
  Index step = static_cast<Index>(clock);
  int part = rank;
  self.rows_since = 0, self.loss_since = 0;
  bool has_rows = true;
  if (worklist_) {
    const auto portion = worklist_->of(rank);
    has_rows = portion.has_value();
    if (portion) step = portion->step, part = portion->part;
  }
  if (has_rows) train_on_rows(self, division_.rows(step, part), step);
  if (has_rows && self.packer) take_signs(self, step);
  self.rows_pushed = self.rows_since;
  self.loss_pushed = self.rows_since > 0 ? self.loss_since / static_cast<double>(self.rows_since) : 0;
}

/// Forward and backward; leaves the gradient with the worker. Under weight policies its owner steps afterwards.
void Training::train_on_rows(Worker& self, std::span<const std::uint32_t> rows, Index step) {
  if (rows.empty()) return;
  const Matrix features(features_.data(), static_cast<Index>(rows.size()), plan_.width);
  const std::span<float> targets(targets_.data(), rows.size());
  rows_.gather(rows, features, targets);
  const model::DropoutKey dropout{plan_.job.seed, division_.epoch_of(step)};
  const std::span<const float> weights =
      self.own ? std::as_const(self.own->current().weights).span()
               : std::as_const(self.weights).span().first(static_cast<std::size_t>(plan_.layout.total));
  model::LayerEvents events;
  const auto result = network_.train_step({features, targets, rows}, weights, self.gradient.span(), dropout, events,
                                          static_cast<int>(*plan_.job.train.micro_batches));
  if (plan_.job.train.on_nonfinite == job::OnNonfinite::stop && !std::isfinite(result.loss_sum))
    diverged("loss", static_cast<Clock>(step));
  self.loss_since += result.loss_sum;
  self.rows_since += rows.size();
}

/// They take the gradient's place, a piece at a time as a worker sends them.
void Training::take_signs(Worker& self, Index step) {
  self.packer->begin(static_cast<std::uint64_t>(step), plan::learning_rate(plan_, division_.applied_before(step)), 1);
  for (std::size_t p = 0; p < self.packer->pieces().size(); ++p) {
    const plan::Piece& piece = self.packer->pieces()[p];
    const std::span<float> gradient =
        self.gradient.span().subspan(static_cast<std::size_t>(piece.offset), static_cast<std::size_t>(piece.count));
    const auto bytes = self.packer->pack(p, gradient);
    if (!bytes || !unpacker_->unpack(p, *bytes, gradient)) diverged("gradient", static_cast<Clock>(step));
  }
}

/// One step of an optimizer of its own. What is pushed before it is read from the owner's previous version.
void Training::step_alone(Rank rank, Worker& self, Clock clock, const sync::Turn& turn) {
  const auto step = static_cast<Index>(clock);
  const std::span<const std::uint32_t> rows = division_.rows(step, rank);
  role::Owner& own = *self.own;
  own.current().applied_rows = division_.applied_before(step);
  if (turn.exchange == Exchange::weights_before) {
    self.rows_pushed = self.rows_since + rows.size();
    self.loss_pushed = self.rows_since > 0 ? self.loss_since / static_cast<double>(self.rows_since) : 0;
  }
  self.elastic_from_previous = !rows.empty();
  if (!rows.empty()) {
    train_on_rows(self, rows, step);
    const std::vector<role::Contribution> gradient{{{self.gradient.data()}, 1}};
    const Index after = division_.applied_before(step + 1);
    if (plan_.job.train.clip_norm > 0 ? own.step_clipped(gradient, after) : own.step(gradient, 1, after))
      diverged("gradient", clock);
  }
  if (turn.exchange == Exchange::weights_after) {
    self.rows_pushed = self.rows_since;
    self.loss_pushed = self.rows_since > 0 ? self.loss_since / static_cast<double>(self.rows_since) : 0;
  }
  if (turn.exchange != Exchange::none) self.rows_since = 0, self.loss_since = 0;
}

/// What it was sent since its last exchange takes the place of its weights, or pulls at them.
void Training::take_in(Worker& self) {
  if (!self.own || (!self.comes && self.last == Exchange::none)) return;
  role::Version& version = self.own->current();
  const auto total = static_cast<std::size_t>(plan_.layout.total);
  const std::span<const float> sent = std::as_const(self.weights).span();
  if (!self.comes && self.last == Exchange::weights_before) {
    const role::Version& pushed = self.elastic_from_previous ? self.own->previous() : version;
    sync::pull_worker(std::get<sync::Elastic>(sync::update_of(plan_.job.sync)), pushed.weights.span(),
                      sent.first(total), version.weights.span());
    return;
  }
  copy(sent.first(total), version.weights.span());
  const bool averaged = plan_.averages_moments();
  const bool reset = self.comes || plan_.job.sync.momentum == job::AverageMomentum::reset;
  for (std::size_t k = 0; k < version.moments.size(); ++k) {
    if (averaged)
      copy(sent.subspan((1 + k) * total, total), version.moments[k].span());
    else if (reset)
      std::fill(version.moments[k].span().begin(), version.moments[k].span().end(), 0.0f);
  }
  self.comes = false;
}

void Training::send(int server, Rank rank, bool folded) {
  const plan::Slice& slice = plan_.slices[static_cast<std::size_t>(server)];
  role::Owner& from = owner(server);
  const role::Version& version =
      folded && plan_.job.sync.policy == job::PolicyName::easgd ? from.previous() : from.current();
  const auto begin = static_cast<std::size_t>(slice.begin), total = static_cast<std::size_t>(plan_.layout.total);
  const std::span<float> to = worker(rank).weights.span();
  const auto count = static_cast<std::size_t>(slice.end - slice.begin);
  copy(version.weights.span(), to.subspan(begin, count));
  for (std::size_t k = 1; k < static_cast<std::size_t>(plan_.exchanged_arenas()); ++k)
    copy(version.moments[k - 1].span(), to.subspan(k * total + begin, count));
  from.hold(rank);
}

std::vector<role::Contribution> Training::contributions(int server, std::span<const Rank> ranks) {
  std::uint64_t all = 0;
  for (const Rank rank : ranks) all += rows(rank);
  std::vector<role::Contribution> out;
  for (const Rank rank : ranks) {
    Worker& self = worker(rank);
    role::Contribution& part = out.emplace_back();
    part.factor =
        traits_.votes ? 1.0f : static_cast<float>(static_cast<double>(self.rows_pushed) / static_cast<double>(all));
    for (int a = 0; a < plan_.exchanged_arenas(); ++a)
      for (const plan::Piece& piece : plan_.slices[static_cast<std::size_t>(server)].pieces) {
        const float* from = self.gradient.data();
        if (self.own) {
          const bool before = self.last == Exchange::weights_before && self.elastic_from_previous;
          const role::Version& version = before ? self.own->previous() : self.own->current();
          from = (a == 0 ? version.weights : version.moments[static_cast<std::size_t>(a) - 1]).data();
        }
        part.pieces.push_back(from + piece.offset);
      }
  }
  return out;
}

/// By the norm over all slices, whose sums of squares are added in the order of their blocks.
float Training::clip_factor(std::span<const Rank> ranks) {
  if (plan_.job.train.clip_norm <= 0 || traits_.weights || ranks.empty()) return 1;
  double total = 0;
  for (int m = 0; m < static_cast<int>(owners_.size()); ++m)
    for (const double sum : owner(m).squares(contributions(m, ranks))) total += sum;
  return optim::clip_factor(plan_.job.train.clip_norm, total);
}

void Training::apply(const Update& update) {
  role::Owner& self = owner(update.server);
  std::uint64_t folded = 0;
  for (const Rank rank : update.ranks) folded += rows(rank);
  const Index after = traits_.gated && !traits_.folds_some
                          ? division_.applied_before(static_cast<Index>(update.clock) + 1)
                          : self.current().applied_rows + static_cast<Index>(folded);
  const float factor = clip_factor(update.ranks) * self.rate_share(folded);
  const auto parts = contributions(update.server, update.ranks);
  const role::Age age = update.ranks.empty()
                            ? role::Age{}
                            : self.age(update.ranks.front(), update.ledger.staleness(update.ranks.front()));
  if (self.step(parts, factor, after, age)) diverged("gradient", update.clock);
  if (update.server != 0) return;
  if (worklist_) worklist_->settle({update.ranks.begin(), update.ranks.end()});
  note_losses(update);
}

/// A point of the curve whenever another hundredth of the rows is applied.
void Training::note_losses(const Update& update) {
  for (const Rank rank : update.ranks) {
    loss_sum_ += loss(rank) * static_cast<double>(rows(rank));
    loss_rows_ += static_cast<double>(rows(rank));
  }
  const Index applied = owner(0).current().applied_rows;
  const Index last = curve_.empty() ? 0 : curve_.back().rows;
  const Index part = std::max<Index>(1, plan_.total_rows / curve_points);
  if (loss_rows_ == 0 || (applied / part == last / part && applied < plan_.total_rows)) return;
  curve_.push_back({update.now, applied, loss_sum_ / loss_rows_});
  loss_sum_ = loss_rows_ = 0;
}

Arena Training::weights() {
  Arena all(plan_.layout.total);
  for (std::size_t m = 0; m < owners_.size(); ++m)
    copy(std::as_const(owners_[m]->stored(0)).span(),
         all.span().subspan(static_cast<std::size_t>(plan_.slices[m].begin)));
  return all;
}

}  // namespace dtrain::sim
