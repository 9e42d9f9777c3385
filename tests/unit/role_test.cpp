#include <doctest/doctest.h>

#include <cmath>
#include <filesystem>
#include <limits>
#include <list>

#include "base/error.hpp"
#include "base/hash.hpp"
#include "base/random.hpp"
#include "math/fold.hpp"
#include "optim/optimizer.hpp"
#include "role/inbox.hpp"
#include "role/messages.hpp"
#include "role/owner.hpp"
#include "role/tracker.hpp"

using namespace dtrain;
using namespace dtrain::role;

namespace {

plan::Plan plan_of(job::OptimizerType type, std::int64_t workers, std::int64_t servers, bool keeps_going = false) {
  job::Job job;
  job.model.layers = {{.dense = 150}, {.dense = 70}, {.dense = 3}};
  job.topology.workers = workers;
  job.topology.servers = servers;
  job.train.optimizer.type = type;
  job.train.optimizer.weight_decay = 0.01;
  if (keeps_going) job.faults.on_worker_loss = job::OnWorkerLoss::keep_going;
  return plan::make_plan(job, {"here", 2, std::size_t{1} << 34}, {1000, 0, "hash"}, 90);
}

std::vector<float> numbers(std::uint32_t which, Index count) {
  std::vector<float> out(static_cast<std::size_t>(count));
  for (std::size_t i = 0; i < out.size(); ++i) out[i] = unit(draw(3, Purpose::fault, which, i)[0]) - 0.5f;
  return out;
}

Contribution contribution_of(const plan::Slice& slice, const std::vector<float>& gradient, float factor) {
  Contribution out{{}, factor};
  for (const plan::Piece& piece : slice.pieces) out.pieces.push_back(gradient.data() + piece.offset);
  return out;
}

std::vector<float> copy(const Arena& arena) { return {arena.span().begin(), arena.span().end()}; }

void start(Owner& owner, const std::vector<float>& weights) {
  const plan::Slice& slice = owner.slice();
  std::copy(weights.begin() + slice.begin, weights.begin() + slice.end, owner.current().weights.data());
}

}  // namespace

TEST_CASE("owners of slices together step as one owner of everything, to the bit") {
  using T = job::OptimizerType;
  for (const T type : {T::sgd, T::momentum, T::nesterov, T::adagrad, T::rmsprop, T::adam, T::adamw}) {
    const plan::Plan whole = plan_of(type, 3, 1), cut = plan_of(type, 3, 4);
    REQUIRE(cut.slices.size() == 4);
    const std::vector<float> weights = numbers(0, whole.layout.total);
    Owner one(whole, 0, 1);
    start(one, weights);
    std::list<Owner> many;
    for (int m = 0; m < 4; ++m) start(many.emplace_back(cut, m, 2), weights);
    for (std::uint32_t step = 1; step <= 3; ++step) {
      const std::vector<float> a = numbers(step, whole.layout.total), b = numbers(100 + step, whole.layout.total);
      const auto both = [&](const plan::Slice& slice) {
        return std::vector<Contribution>{contribution_of(slice, a, 0.25f), contribution_of(slice, b, 0.75f)};
      };
      CHECK_FALSE(one.step(both(one.slice()), 0.5f, 128 * step));
      for (Owner& owner : many) CHECK_FALSE(owner.step(both(owner.slice()), 0.5f, 128 * step));
    }
    std::vector<float> joined;
    for (Owner& owner : many)
      joined.insert(joined.end(), owner.current().weights.span().begin(), owner.current().weights.span().end());
    CHECK(joined == copy(one.current().weights));
    CHECK(joined != weights);
  }
}

TEST_CASE("a step taken layer by layer, in any order, has the bits of the step taken at once") {
  const plan::Plan plan = plan_of(job::OptimizerType::adamw, 1, 1);
  const std::vector<float> weights = numbers(0, plan.layout.total), gradient = numbers(1, plan.layout.total);
  Owner whole(plan, 0, 1), parts(plan, 0, 2);
  start(whole, weights), start(parts, weights);
  const std::vector<Contribution> one{contribution_of(whole.slice(), gradient, 1)};
  CHECK_FALSE(whole.step(one, 1, 128));
  parts.open(1, 128);
  for (const int layer : {2, 0, 1}) parts.step_layer(one, layer);
  CHECK_FALSE(parts.close());
  CHECK(copy(parts.current().weights) == copy(whole.current().weights));
  CHECK(copy(parts.current().moments[1]) == copy(whole.current().moments[1]));
}

TEST_CASE("the squares of the blocks are those of the folded gradient, whatever the slices") {
  const plan::Plan whole = plan_of(job::OptimizerType::sgd, 2, 1), cut = plan_of(job::OptimizerType::sgd, 2, 3);
  const std::vector<float> a = numbers(1, whole.layout.total), b = numbers(2, whole.layout.total);
  std::vector<double> joined;
  for (int m = 0; m < 3; ++m) {
    const Owner owner(cut, m, 1);
    const std::vector<Contribution> both{contribution_of(owner.slice(), a, 0.5f),
                                         contribution_of(owner.slice(), b, 0.5f)};
    for (const double sum : owner.squares(both)) joined.push_back(sum);
  }
  std::vector<float> folded(a.size());
  const std::vector<Share> shares{{a.data(), 0.5f}, {b.data(), 0.5f}};
  fold(shares, folded);
  std::vector<double> expected;
  for (std::size_t at = 0; at < folded.size(); at += static_cast<std::size_t>(block_weights))
    expected.push_back(sum_of_squares(std::span<const float>(folded).subspan(
        at, std::min(static_cast<std::size_t>(block_weights), folded.size() - at))));
  CHECK(joined == expected);
}

TEST_CASE("a gradient that is not finite publishes nothing and is told where it begins") {
  const plan::Plan plan = plan_of(job::OptimizerType::adam, 1, 1);
  Owner owner(plan, 0, 2);
  start(owner, numbers(0, plan.layout.total));
  const std::vector<float> before = copy(owner.current().weights);
  std::vector<float> gradient = numbers(1, plan.layout.total);
  gradient[9001] = std::numeric_limits<float>::infinity();
  gradient[20000] = std::nanf("");
  const auto bad = owner.step(std::vector<Contribution>{contribution_of(owner.slice(), gradient, 1)}, 1, 128);
  REQUIRE(bad);
  CHECK(*bad <= 9001);
  CHECK(9001 - *bad < block_weights);
  CHECK(copy(owner.current().weights) == before);
  CHECK(owner.current().updates == 0);
}

TEST_CASE("an undone step leaves weights, moments and counts as they were") {
  const plan::Plan plan = plan_of(job::OptimizerType::adam, 2, 2, true);
  REQUIRE(plan.undo_possible());
  Owner owner(plan, 1, 1);
  start(owner, numbers(0, plan.layout.total));
  const auto step = [&](std::uint32_t which) {
    const std::vector<float> gradient = numbers(which, plan.layout.total);
    REQUIRE_FALSE(owner.step(std::vector<Contribution>{contribution_of(owner.slice(), gradient, 1)}, 1, 128 * which));
  };
  step(1);
  const std::vector<float> weights = copy(owner.current().weights), moment = copy(owner.current().moments[0]);
  step(2);
  const std::vector<float> after = copy(owner.current().weights);
  CHECK(after != weights);
  owner.undo();
  CHECK(copy(owner.current().weights) == weights);
  CHECK(copy(owner.current().moments[0]) == moment);
  CHECK(owner.current().updates == 1);
  step(2);
  CHECK(copy(owner.current().weights) == after);
}

namespace {

wire::Message push_of(const plan::Slice& slice, std::size_t piece, std::uint64_t clock, std::uint64_t rows) {
  wire::Message message;
  message.header.type = wire::Type::push;
  message.header.clock = clock;
  message.header.rows = rows;
  if (rows == 0) return message;
  message.header.piece = static_cast<std::uint32_t>(piece);
  message.header.pieces = static_cast<std::uint32_t>(slice.pieces.size());
  message.header.offset = static_cast<std::uint64_t>(slice.pieces[piece].offset);
  message.header.count = static_cast<std::uint64_t>(slice.pieces[piece].count);
  message.payload.rebuild(message.header.count * sizeof(float));
  return message;
}

}  // namespace

TEST_CASE("a push is whole when each of its pieces is here, and a piece that comes twice counts once") {
  job::Job job;
  job.model.layers = {{.dense = 600}, {.dense = 10}};
  const plan::Plan plan = plan::make_plan(job, {"here", 2, std::size_t{1} << 34}, {1000, 0, "hash"}, 900);
  const plan::Slice& slice = plan.slices.front();
  REQUIRE(slice.pieces.size() > 1);
  Inbox inbox(slice.pieces.size());
  CHECK(inbox.add(slice, push_of(slice, 0, 7, 5)));
  CHECK_FALSE(inbox.add(slice, push_of(slice, 0, 7, 5)));
  CHECK_FALSE(inbox.add(slice, push_of(slice, 1, 8, 5)));
  CHECK_FALSE(inbox.add(slice, push_of(slice, 1, 7, 6)));
  CHECK(inbox.partial());
  wire::Message elsewhere = push_of(slice, 1, 7, 5);
  ++elsewhere.header.offset;
  CHECK_FALSE(inbox.add(slice, std::move(elsewhere)));
  for (std::size_t p = 1; p < slice.pieces.size(); ++p) CHECK(inbox.add(slice, push_of(slice, p, 7, 5)));
  CHECK(inbox.complete());
  CHECK(inbox.clock() == 7);
  CHECK(inbox.rows() == 5);
  inbox.clear();
  CHECK_FALSE(inbox.complete());
  CHECK(inbox.add(slice, push_of(slice, 0, 8, 0)));
  CHECK(inbox.complete());
}

TEST_CASE("control payloads read back as they were written, and anything else is refused") {
  const ProgressReport report{41, Phase::computing, {{39, 1.5, 32}, {40, 1.25, 32}}};
  const auto back = unpack_progress(pack(report));
  REQUIRE(back);
  CHECK(back->step == 41);
  CHECK(back->records.size() == 2);
  CHECK(back->records[1].loss_sum == 1.25);
  const std::string whole = pack(report);
  for (std::size_t length = 0; length < whole.size(); ++length)
    CHECK_FALSE(unpack_progress(std::string_view(whole).substr(0, length)));
  std::string unknown_phase = whole;
  unknown_phase[8] = 99;
  CHECK_FALSE(unpack_progress(unknown_phase));
  for (const char* text : {"", "{", "[]", "{}", "7", "null", R"({"role":"x"})"}) {
    CAPTURE(text);
    CHECK_FALSE(unpack_join(text));
    CHECK_FALSE(unpack_ready(text));
    CHECK_FALSE(unpack_cut(text));
    CHECK_FALSE(unpack_frozen(text));
    CHECK_FALSE(unpack_tally(text));
    CHECK_FALSE(unpack_failure(text));
  }
}

TEST_CASE("a failure is told whatever bytes it quotes, and nobody's failure becomes a success") {
  const auto told = unpack_failure(pack(Failure{4, "line 1: \xff is no number"}));
  REQUIRE(told);
  CHECK(told->code == 4);
  CHECK(told->message.ends_with(" is no number"));
  for (const int code : {0, -1, 11, 256, 1 << 20}) {
    CAPTURE(code);
    CHECK(unpack_failure(pack(Failure{code, ""}))->code == static_cast<int>(Kind::internal));
  }
}

TEST_CASE("ranks may begin at different steps, and what a lost one still reports does not count") {
  const auto file = std::filesystem::temp_directory_path() / ("dtrain-tracker-" + hex(entropy()));
  {
    plan::Plan plan = plan_of(job::OptimizerType::sgd, 3, 1);
    plan.job.output.log_every = 1;
    report::MetricsFile metrics(file);
    report::Progress progress(report::Progress::Mode::none, false);
    Tracker tracker(plan, metrics, progress);
    tracker.begin({4, 2, 9});
    CHECK(tracker.slowest() == 2);
    tracker.record(2, {9, 1.0, 5});
    tracker.record(0, {3, 1.0, 5});
    CHECK(tracker.rows() == 5);
    tracker.record(0, {4, 1.0, 5});
    tracker.record(1, {2, 1.0, 5});
    CHECK(tracker.slowest() == 3);
    tracker.drop(1);
    tracker.record(1, {3, 1.0, 5});
    CHECK(tracker.rows() == 15);
    CHECK(tracker.slowest() == 5);
    CHECK(tracker.train_loss() == doctest::Approx(0.2));
  }
  std::filesystem::remove(file);
}
