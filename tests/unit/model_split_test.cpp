#include <doctest/doctest.h>

#include <cmath>

#include "math/gemm.hpp"
#include "model_grid.hpp"

using namespace model_support;
using job::Activation;
using job::LayerSplit;
using job::Loss;
using job::PipelineSchedule;

namespace {

const bool blas_is_single = (set_blas_threads(1), true);
const PipelineSchedule schedules[] = {PipelineSchedule::gpipe, PipelineSchedule::one_f_one_b};
const LayerSplit forms[] = {LayerSplit::output, LayerSplit::input, LayerSplit::none};

template <class Real>
struct Whole {
  std::vector<Real> gradient;
  double loss_sum = 0;
};

/// One process over the same micro-batches.
template <class Real>
Whole<Real> train_whole(const Problem<Real>& problem, const Course& course, const Batch<Real>& batch) {
  Network<Real> network(problem.model, problem.width, problem.rows, course.threads);
  LayerEvents events;
  Whole<Real> whole{std::vector<Real>(problem.weights.size(), Real(1e30))};
  std::vector<Real> touched_gradient;
  const Batch<Real> own = with_own_gradient(batch, network.layout(), touched_gradient);
  whole.loss_sum = network.train_step(own, problem.weights, whole.gradient, key, events, course.micro_batches).loss_sum;
  return whole;
}

template <class Real>
bool all_completed(const std::vector<Outcome<Real>>& outcomes) {
  return std::all_of(outcomes.begin(), outcomes.end(), [](const auto& o) { return o.completed && o.right_sizes; });
}

/// The largest difference, in units of the largest element.
template <class Real>
double distance(const std::vector<Real>& a, const std::vector<Real>& b) {
  double worst = 0, largest = 0;
  for (std::size_t k = 0; k < a.size(); ++k) {
    worst = std::max(worst, std::abs(static_cast<double>(a[k]) - static_cast<double>(b[k])));
    largest = std::max(largest, std::abs(static_cast<double>(b[k])));
  }
  return worst / largest;
}

template <class Real>
constexpr double tolerance = std::is_same_v<Real, double> ? 1e-12 : 1e-5;

/// A split network has the gradient and the loss of one process; without tensor groups with the same bits. With them,
/// all ranks of a group have the same bits of what they all have.
template <class Real>
std::vector<Outcome<Real>> check_against_whole(const Problem<Real>& problem, const std::vector<Cell>& cells,
                                               const Course& course, const Batch<Real>& batch) {
  const Whole<Real> whole = train_whole(problem, course, batch);
  const auto outcomes = run_cells(problem, cells, course, batch);
  CHECK(all_completed(outcomes));
  const auto gradient = put_together(outcomes, whole.gradient.size());
  if (cells.front().ranks == 1)
    CHECK(gradient == whole.gradient);
  else
    CHECK(distance(gradient, whole.gradient) < tolerance<Real>);
  for (std::size_t c = 0; c < cells.size(); ++c) {
    if (!cells[c].last())
      CHECK(outcomes[c].loss_sum == 0);
    else if (cells[c].ranks == 1)
      CHECK(outcomes[c].loss_sum == whole.loss_sum);
    else
      CHECK(outcomes[c].loss_sum == doctest::Approx(whole.loss_sum).epsilon(1e-5));
    const auto& first_of_group = outcomes[c - static_cast<std::size_t>(cells[c].rank)];
    CHECK(outcomes[c].loss_sum == first_of_group.loss_sum);
    CHECK(outcomes[c].given == first_of_group.given);
    CHECK(outcomes[c].given.empty() == (cells[c].stages == 1));
  }
  return outcomes;
}

job::Model deep_model(Loss loss, double dropout, bool bias) {
  const Index outputs = loss == Loss::softmax_cross_entropy ? 4 : loss == Loss::mean_squared_error ? 2 : 1;
  return {{dense(13, Activation::relu, dropout, bias), dense(7, Activation::gelu, dropout, bias),
           dense(5, Activation::tanh, 0, bias), dense(outputs, Activation::none, 0, bias)},
          loss};
}

job::Model wide_model() {
  return {{dense(130, Activation::relu, 0.3), dense(70, Activation::softplus, 0.2), dense(41, Activation::sigmoid),
           dense(10)},
          Loss::softmax_cross_entropy};
}

/// All orders of `count` forms.
std::vector<std::vector<LayerSplit>> orders_of_forms(int count) {
  std::vector<std::vector<LayerSplit>> orders{{}};
  for (int l = 0; l < count; ++l) {
    std::vector<std::vector<LayerSplit>> longer;
    for (const auto& order : orders)
      for (const LayerSplit form : forms) {
        longer.push_back(order);
        longer.back().push_back(form);
      }
    orders = longer;
  }
  return orders;
}

}  // namespace

TEST_CASE_TEMPLATE("a pipeline has the bits of one process over the same micro-batches", Real, float, double) {
  for (const Loss loss : {Loss::softmax_cross_entropy, Loss::binary_cross_entropy, Loss::mean_squared_error})
    for (const double dropout : {0.0, 0.3})
      for (const bool bias : {true, false}) {
        const Problem<Real> problem(deep_model(loss, dropout, bias), 6, 17);
        for (int stages = 1; stages <= 3; ++stages)
          for (const int m : {1, 2, 3, 4, 7})
            for (const auto schedule : schedules) {
              CAPTURE(dropout);
              CAPTURE(stages);
              CAPTURE(m);
              const auto cells = cells_of(problem.model, 6, even_stages(problem.model, stages), 1, {});
              check_against_whole(problem, cells, {schedule, m}, problem.batch());
            }
      }
}

TEST_CASE("so it does with wide layers, several threads, a stage a layer, few rows, and step after step") {
  const Problem<float> problem(wide_model(), 50, 61);
  const auto cells = cells_of(problem.model, 50, {0, 1, 2, 3, 4}, 1, {});
  for (const auto schedule : schedules)
    for (const int threads : {1, 2})
      for (const Index rows : {61, 40, 3, 1}) {
        CAPTURE(rows);
        check_against_whole(problem, cells, {schedule, 5, threads, 3}, problem.batch(0, rows));
      }
}

TEST_CASE("under 1F1B a stage keeps at most as many micro-batches as there are stages from it on, under gpipe all") {
  const Problem<float> problem(deep_model(Loss::softmax_cross_entropy, 0, true), 6, 17);
  for (int stages = 2; stages <= 4; ++stages)
    for (const int m : {1, 2, 3, 4, 7}) {
      const auto cells = cells_of(problem.model, 6, even_stages(problem.model, stages), 1, {});
      const auto alternating = run_cells(problem, cells, {PipelineSchedule::one_f_one_b, m}, problem.batch());
      const auto filling = run_cells(problem, cells, {PipelineSchedule::gpipe, m}, problem.batch());
      for (const Cell& cell : cells) {
        const auto c = static_cast<std::size_t>(cell.stage);
        if (!cell.last()) CHECK(alternating[c].in_flight == std::min(m, stages - cell.stage));
        if (!cell.last()) CHECK(filling[c].in_flight == m);
        CHECK((alternating[c].bytes < filling[c].bytes) == (m > stages - cell.stage));
      }
    }
}

TEST_CASE_TEMPLATE("a tensor group has the gradient of the whole, for all forms in all orders", Real, float, double) {
  const Problem<Real> problem(
      {{dense(13, Activation::relu, 0.3), dense(7, Activation::gelu, 0.2, false), dense(5, Activation::tanh, 0.1)},
       Loss::mean_squared_error},
      9, 11);
  for (const int ranks : {1, 2, 3})
    for (const bool turned : {false, true})
      for (const auto& order : orders_of_forms(3)) {
        CAPTURE(ranks);
        CAPTURE(turned);
        const auto cells = cells_of(problem.model, 9, {0, 3}, ranks, order, turned);
        check_against_whole(problem, cells, {}, problem.batch());
      }
}

TEST_CASE(
    "so it does over four layers, with more ranks than a layer has units, with every loss, and with bias or not") {
  for (const Loss loss : {Loss::softmax_cross_entropy, Loss::binary_cross_entropy, Loss::mean_squared_error})
    for (const bool bias : {true, false}) {
      const Problem<double> problem(deep_model(loss, 0.2, bias), 2, 7);
      for (const auto& order : orders_of_forms(4)) {
        const auto cells = cells_of(problem.model, 2, {0, 4}, 3, order, true);
        check_against_whole(problem, cells, {PipelineSchedule::gpipe, 2}, problem.batch());
      }
    }
}

TEST_CASE("so it does in float with wide layers and several threads") {
  const Problem<float> problem(wide_model(), 50, 61);
  for (const auto& order : orders_of_forms(4)) {
    const auto cells = cells_of(problem.model, 50, {0, 4}, 3, order);
    check_against_whole(problem, cells, {PipelineSchedule::one_f_one_b, 1, 2}, problem.batch());
  }
}

TEST_CASE("stages of tensor groups have the gradient of the whole, whatever forms meet between them") {
  const Problem<double> problem(deep_model(Loss::softmax_cross_entropy, 0.25, true), 6, 17);
  for (const auto& order : orders_of_forms(4))
    for (const auto schedule : schedules)
      for (const int m : {1, 3, 4}) {
        const auto cells = cells_of(problem.model, 6, {0, 2, 4}, 2, order);
        const auto outcomes = check_against_whole(problem, cells, {schedule, m}, problem.batch());
        CHECK(outcomes[0].in_flight == (schedule == PipelineSchedule::gpipe ? m : std::min(m, 2)));
      }
}

TEST_CASE("the schedule changes no bit of what a grid computes") {
  const Problem<float> problem(deep_model(Loss::softmax_cross_entropy, 0.25, true), 6, 17);
  for (const auto& stages : {std::vector{0, 4}, std::vector{0, 1, 4}})
    for (const auto& order : orders_of_forms(4)) {
      const auto cells = cells_of(problem.model, 6, stages, 2, order);
      const auto one = run_cells(problem, cells, {PipelineSchedule::gpipe, 3}, problem.batch());
      const auto other = run_cells(problem, cells, {PipelineSchedule::one_f_one_b, 3}, problem.batch());
      for (std::size_t c = 0; c < cells.size(); ++c) {
        CHECK(one[c].gradient == other[c].gradient);
        CHECK(one[c].loss_sum == other[c].loss_sum);
      }
    }
}

TEST_CASE("dropout falls on the same units however the network is split") {
  // All weights are 1: the units of the first layer differ by their masks only, and so do their gradients.
  Problem<double> problem({{dense(13, Activation::none, 0.5), dense(1)}, Loss::mean_squared_error}, 3, 9);
  const Layout layout = make_layout(problem.model, 3);
  std::fill(problem.weights.begin(), problem.weights.end(), 1.0);
  const auto whole = train_whole(problem, {}, problem.batch());
  const Tensor& bias = layout.tensors[1];
  std::size_t kinds = 0;
  for (Index k = 1; k < bias.count(); ++k)
    kinds += whole.gradient[static_cast<std::size_t>(bias.offset + k)] !=
             whole.gradient[static_cast<std::size_t>(bias.offset)];
  REQUIRE(kinds > 3);
  for (const auto& stages : {std::vector{0, 2}, std::vector{0, 1, 2}})
    for (const LayerSplit form : forms) {
      const auto cells = cells_of(problem.model, 3, stages, 4, {form, LayerSplit::none});
      check_against_whole(problem, cells, {PipelineSchedule::gpipe, 2}, problem.batch());
    }
}

TEST_CASE("a pair of column and row cuts costs one sum each way, and what travels is what the sums need") {
  const Problem<float> problem(
      {{dense(8, Activation::relu), dense(6), dense(10, Activation::relu), dense(4)}, Loss::softmax_cross_entropy}, 5,
      7);
  const auto cells = cells_of(problem.model, 5, {0, 4}, 2,
                              {LayerSplit::output, LayerSplit::input, LayerSplit::output, LayerSplit::input});
  const auto outcomes = run_cells(problem, cells, {}, problem.batch());
  for (const auto& outcome : outcomes) {
    CHECK(outcome.exchanges == 3);                   // two forward, one backward: the first layer sends nothing down
    CHECK(outcome.numbers_sent == 7 * (6 + 4 + 6));  // of one rank to the other
  }
}

TEST_CASE("cells count the operations of the whole between them, and foresee the memory that they take") {
  const Problem<float> problem(wide_model(), 50, 61);
  const double flops = Network<float>(problem.model, 50, 61, 1).flops_per_row();
  for (const auto& order : orders_of_forms(4))
    for (const auto& stages : {std::vector{0, 4}, std::vector{0, 1, 4}, std::vector{0, 1, 2, 4}})
      for (const int ranks : {1, 3}) {
        const Course course{PipelineSchedule::one_f_one_b, 3};
        const auto cells = cells_of(problem.model, 50, stages, ranks, order);
        const auto outcomes = run_cells(problem, cells, course, problem.batch());
        double sum = 0;
        for (std::size_t c = 0; c < cells.size(); ++c) {
          sum += outcomes[c].flops;
          CHECK(outcomes[c].bytes ==
                network_bytes(problem.model, 50, 61,
                              Split<float>{cells[c], course.schedule, course.micro_batches, nullptr}));
        }
        CHECK(sum == flops);
      }
}

TEST_CASE("a step that one cell abandons is abandoned by all, wherever that is") {
  struct Stops : LayerEvents {
    int forward = -1, backward = -1;
    bool before_forward(int layer) override { return layer != forward; }
    bool after_backward(int layer) override { return layer != backward; }
  };
  const Problem<float> problem(deep_model(Loss::softmax_cross_entropy, 0, true), 6, 12);
  const auto cells = cells_of(problem.model, 6, {0, 2, 4}, 2,
                              {LayerSplit::output, LayerSplit::input, LayerSplit::output, LayerSplit::input});
  for (std::size_t who = 0; who < cells.size(); ++who)
    for (const bool forward : {true, false}) {
      CAPTURE(who);
      Stops stops;
      (forward ? stops.forward : stops.backward) = 1;
      LayerEvents none;
      std::vector<LayerEvents*> events(cells.size(), &none);
      events[who] = &stops;
      const auto outcomes = run_cells(problem, cells, {PipelineSchedule::one_f_one_b, 3}, problem.batch(), events);
      CHECK_FALSE(outcomes[who].completed);
      if (forward)
        for (const auto& outcome : outcomes) CHECK_FALSE(outcome.completed);
    }
}

TEST_CASE("events come for every layer of a cell, also those of which it has nothing") {
  struct Recorder : LayerEvents {
    std::vector<int> seen;
    bool before_forward(int layer) override { return seen.push_back(layer), true; }
    bool after_backward(int layer) override { return seen.push_back(100 + layer), true; }
  };
  const Problem<float> problem(deep_model(Loss::softmax_cross_entropy, 0, true), 6, 12);
  const auto cells = cells_of(problem.model, 6, {0, 2, 4}, 2, std::vector<LayerSplit>(4, LayerSplit::none));
  std::vector<Recorder> recorders(cells.size());
  std::vector<LayerEvents*> events;
  for (Recorder& recorder : recorders) events.push_back(&recorder);
  const auto outcomes = run_cells(problem, cells, {PipelineSchedule::gpipe, 2}, problem.batch(), events);
  CHECK(all_completed(outcomes));
  CHECK(outcomes[1].gradient.empty());
  for (const Recorder& recorder : recorders) CHECK(recorder.seen == std::vector<int>{0, 1, 0, 1, 101, 100});
}

TEST_CASE("sparse features train a split network whose first layer is cut by outputs") {
  const Problem<double> problem(deep_model(Loss::softmax_cross_entropy, 0.2, true), 20, 9);
  SparseBatch sparse;
  for (std::uint32_t r = 0; r < 9; ++r) {
    sparse.begins.push_back(static_cast<std::uint32_t>(sparse.indices.size()));
    for (std::uint32_t f = r % 5; f < 20; f += 5) {
      sparse.indices.push_back(f);
      sparse.values.push_back(static_cast<float>(problem.features[r * 20 + f]));
    }
  }
  sparse.begins.push_back(static_cast<std::uint32_t>(sparse.indices.size()));
  Touched touched;
  touched.find(sparse);
  Batch<double> batch = problem.batch();
  batch.features.data = nullptr;
  batch.sparse = SparseInput<double>{{sparse.begins, sparse.indices, sparse.values}, 0, &touched};
  for (const auto& stages : {std::vector{0, 4}, std::vector{0, 2, 4}})
    for (const int ranks : {1, 2, 3}) {
      const auto cells = cells_of(problem.model, 20, stages, ranks, std::vector<LayerSplit>(4, LayerSplit::output));
      check_against_whole(problem, cells, {PipelineSchedule::one_f_one_b, 3}, batch);
    }
}
