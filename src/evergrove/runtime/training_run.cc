// A run: look at the log, prepare the data, replay what was decided before, go on, write the model.
//
// Where the past comes from (the log, a finished model, nowhere) is settled first, as a header and
// iterations that are known; everything after that is the same path.
// SPDX-License-Identifier: Apache-2.0
#include "evergrove/runtime/training_run.h"

#include <tbb/task_arena.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <memory>
#include <optional>

#include "evergrove/base/scratch_file.h"
#include "evergrove/runtime/machine_memory.h"
#include "evergrove/runtime/model_file.h"
#include "evergrove/runtime/peak_memory.h"
#include "evergrove/runtime/run_checks.h"
#include "evergrove/runtime/run_log.h"
#include "evergrove/runtime/run_past.h"
#include "evergrove/runtime/threads.h"
#include "evergrove/source/store.h"
#include "evergrove/train/features.h"
#include "evergrove/train/parked_trainer.h"
#include "evergrove/train/shard.h"
#include "evergrove/train/trainer.h"

namespace evergrove::runtime {
namespace {

using Clock = std::chrono::steady_clock;

double seconds_between(Clock::time_point start, Clock::time_point end) {
  return std::chrono::duration<double>(end - start).count();
}

// What people may not expect of how their columns were understood.
void add_column_notes(const train::DataSpec& spec, const train::RunHeader& header,
                      std::vector<std::string>& notes) {
  for (const table::ColumnSpec& column : spec.data->schema().columns) {
    if (!train::is_index_column(column.name)) continue;
    notes.push_back("Column " + column.name + " is pandas' index, and is not learnt from");
  }
  for (const model::Feature& feature : header.features) {
    const auto index = spec.data->schema().find(feature.name);
    if (!index) continue;
    const std::string& type = spec.data->schema().columns[*index].source_type;
    if (type.find("date") == std::string::npos && type.find("timestamp") == std::string::npos) {
      continue;
    }
    notes.push_back("Column " + feature.name + " (" + type +
                    ") is taken as a number: seconds since 1970");
  }
}

std::string cache_folder(const TrainingRequest& request) {
  if (!request.cache_folder.empty()) return request.cache_folder;
  const char* const folder = std::getenv("TMPDIR");
  return folder != nullptr && *folder != 0 ? folder : "/var/tmp";  // /tmp may be memory
}

// The plan of a run; where it depends on the data, by what is found by reading them once.
Result<train::MemoryPlan> plan_run(const TrainingRequest& request,
                                   const train::Parameters& parameters,
                                   const train::RunHeader* known,
                                   const train::PrepareProgress& progress,
                                   std::optional<train::RunDescription>& description) {
  const auto threads = static_cast<uint64_t>(tbb::this_task_arena::max_concurrency());
  // What nobody said is no promise: then it is only a reason to let rows pass by.
  const bool is_promised = request.memory_bytes > 0;
  const uint64_t limit =
      is_promised ? std::min(request.memory_bytes, process_memory_bytes()) : process_memory_bytes();
  const auto plan = [&](train::MemoryShape shape) {
    if (!is_promised) {
      shape.iteration_count = std::min(shape.iteration_count, train::kExpectedIterationsMax);
    }
    return train::plan_memory(shape, limit);
  };
  const train::MemoryPlan most = plan(train::memory_shape(request.data, parameters, threads));
  if (!most.may_describe()) return most;
  // Nothing to find out where all rows fit anyway, however many bins and classes there are.
  const bool has_one_output =
      request.data.objective_is_chosen && parameters.objective != model::ObjectiveKind::multiclass;
  if ((!is_promised || has_one_output) && !most.is_parked()) return most;
  EVERGROVE_ASSIGN_OR_RETURN(
      description, train::describe(request.data, parameters, known, progress, most.rows_at_once));
  return plan(train::memory_shape(request.data, description->header, threads));
}

// One run from the request to the report; lives as long as train().
class Run {
 public:
  explicit Run(const TrainingRequest& request)
      : request_(request),
        log_shown_(source::without_credentials(request.log_folder)),
        start_(Clock::now()) {}

  Result<TrainingReport> run();

 private:
  bool tell(std::string_view phase, double share) {
    TrainingProgress progress;
    progress.phase = phase;
    progress.share = share;
    return tell(progress);
  }
  bool tell(TrainingProgress& progress) {
    if (!request_.progress) return true;
    progress.seconds = seconds_between(start_, Clock::now());
    return request_.progress(progress);
  }
  Status load(const train::RunHeader* known);
  Status park(train::RunDescription description, const train::PrepareProgress& progress);
  Status replay(std::vector<train::Iteration> past, bool log_them);
  Status train();
  Status stopped() const;

  const TrainingRequest& request_;
  std::string log_shown_;  // for messages
  Clock::time_point start_;
  std::unique_ptr<RunLog> log_;
  std::unique_ptr<train::Trainer> trainer_;
  TrainingReport report_;
};

Result<TrainingReport> Run::run() {
  EVERGROVE_RETURN_IF_ERROR(check_model_place(request_));
  EVERGROVE_RETURN_IF_ERROR(check_fingerprints(request_.data));
  report_.seconds_read = seconds_between(start_, Clock::now());
  RunPast past;
  if (!request_.log_folder.empty()) {
    EVERGROVE_ASSIGN_OR_RETURN(log_, RunLog::open(request_.log_folder));
    EVERGROVE_ASSIGN_OR_RETURN(
        past, past_of_log(*log_, log_shown_, request_.resume, request_.data, request_.parameters));
  }
  const bool past_is_logged = past.header.has_value();
  if (!past_is_logged && request_.continue_from) {
    EVERGROVE_ASSIGN_OR_RETURN(
        past, past_of_model(*request_.continue_from, request_.data, request_.parameters));
  }
  EVERGROVE_RETURN_IF_ERROR(load(past.header ? &*past.header : nullptr));
  const train::RunHeader header = trainer_->header();
  report_.row_count = trainer_->row_count();
  report_.feature_count = header.features.size();
  add_column_notes(request_.data, header, report_.notes);
  if (!request_.data.objective_is_chosen && !past.header) {
    report_.notes.push_back("The objective is " +
                            std::string(model::objective_name(header.parameters.objective)) +
                            ", by the values of the label");
  }
  const Clock::time_point training_start = Clock::now();
  if (log_ && !past_is_logged) EVERGROVE_RETURN_IF_ERROR(log_->start(header));
  EVERGROVE_RETURN_IF_ERROR(replay(std::move(past.iterations), !past_is_logged));
  const Status trained = train();
  // Whatever ended the training, what was decided is to be durable.
  if (log_) {
    const Status drained = log_->drain();
    report_.seconds_log = log_->seconds_waited();
    EVERGROVE_RETURN_IF_ERROR(drained);
  }
  EVERGROVE_RETURN_IF_ERROR(trained);
  report_.seconds_train = seconds_between(training_start, Clock::now());
  tell("writing", 0);
  report_.model = trainer_->model();
  report_.digest = model::digest(report_.model);
  EVERGROVE_ASSIGN_OR_RETURN(report_.metrics, trainer_->training_metrics());
  const uint64_t best = trainer_->best_iteration();
  if (best > 0) {
    const auto& at_best = report_.model.metadata.metrics[best - 1];
    report_.metrics.insert(report_.metrics.end(), at_best.begin(), at_best.end());
  }
  if (!request_.model_path.empty()) {
    EVERGROVE_ASSIGN_OR_RETURN(const std::string bytes,
                               model_to_bytes(report_.model, report_.digest));
    EVERGROVE_RETURN_IF_ERROR(write_model_bytes(bytes, request_.model_path));
  }
  report_.peak_rss_bytes = peak_rss_bytes();
  report_.seconds_total = seconds_between(start_, Clock::now());
  return std::move(report_);
}

// Reads the data and makes the trainer.
Status Run::load(const train::RunHeader* known) {
  const Clock::time_point loading_start = Clock::now();
  Clock::time_point binning_start = loading_start;
  bool is_binning = false;
  const auto progress = [&](std::string_view phase, double share) {
    if (phase == "binning" && !is_binning) {
      is_binning = true;
      binning_start = Clock::now();
    }
    return tell(phase, share);
  };
  train::Parameters parameters = request_.parameters;
  if (known != nullptr) parameters.objective = known->parameters.objective;
  std::optional<train::RunDescription> description;
  EVERGROVE_ASSIGN_OR_RETURN(const train::MemoryPlan plan,
                             plan_run(request_, parameters, known, progress, description));
  if (request_.memory_bytes > 0) EVERGROVE_RETURN_IF_ERROR(plan.check());
  // What was described need not be found again.
  if (known == nullptr && description) known = &description->header;
  report_.memory = plan;
  if (plan.is_parked() && description) {
    EVERGROVE_RETURN_IF_ERROR(check_text(description->header));
    EVERGROVE_RETURN_IF_ERROR(park(std::move(*description), progress));
  } else {
    EVERGROVE_ASSIGN_OR_RETURN(train::PreparedData prepared,
                               train::prepare(request_.data, parameters, known, progress));
    EVERGROVE_RETURN_IF_ERROR(check_text(prepared.header));
    EVERGROVE_ASSIGN_OR_RETURN(
        trainer_, train::Trainer::create(std::move(prepared.header), std::move(prepared.data)));
  }
  report_.seconds_read += seconds_between(loading_start, binning_start);
  report_.seconds_bins = seconds_between(binning_start, Clock::now());
  return {};
}

Status Run::park(train::RunDescription description, const train::PrepareProgress& progress) {
  const std::string folder = cache_folder(request_);
  EVERGROVE_ASSIGN_OR_RETURN(auto file, ScratchFile::create(folder));
  const train::MemoryPlan& plan = report_.memory;
  const uint64_t file_mebibytes = (plan.file_bytes >> 20) + 1;
  report_.notes.push_back("The rows do not fit into memory: they pass by from a file of " +
                          std::to_string(file_mebibytes) + " MiB in " + folder);
  const std::vector<train::Shard> shards =
      train::make_shards(request_.data, description.header.parameters.seed, plan.rows_at_once);
  EVERGROVE_ASSIGN_OR_RETURN(trainer_, train::train_parked(request_.data, std::move(description),
                                                           shards, std::move(file), progress));
  return {};
}

Status Run::replay(std::vector<train::Iteration> past, bool log_them) {
  // Fewer iterations may be asked for now than were logged: the model is that of a shorter run.
  for (size_t i = 0; i < past.size() && !trainer_->finished(); ++i) {
    EVERGROVE_RETURN_IF_ERROR(trainer_->replay(past[i]));
    if (log_ && log_them) EVERGROVE_RETURN_IF_ERROR(log_->append(past[i]));
    if (!tell("replaying", double(i + 1) / double(past.size()))) return stopped();
  }
  report_.resumed_iterations = trainer_->iteration_count();
  return {};
}

Status Run::train() {
  TrainingProgress progress;
  progress.phase = "training";
  progress.iteration_count = static_cast<uint64_t>(trainer_->header().parameters.n_estimators);
  progress.trees_per_iteration = trainer_->header().base_margins.size();
  progress.iteration = trainer_->iteration_count();
  if (!trainer_->finished() && !tell(progress)) return stopped();
  while (!trainer_->finished()) {
    EVERGROVE_ASSIGN_OR_RETURN(const train::Iteration iteration, trainer_->next());
    if (log_) EVERGROVE_RETURN_IF_ERROR(log_->append(iteration));
    progress.iteration = trainer_->iteration_count();
    progress.share = double(progress.iteration) / double(progress.iteration_count);
    progress.metrics = &iteration.metrics;
    if (!tell(progress)) return stopped();
  }
  return {};
}

Status Run::stopped() const {
  const std::string done =
      "Stopped after " + std::to_string(trainer_->iteration_count()) + " iterations; ";
  if (log_) {
    return interrupted(done + "they are in the log in " + log_shown_ +
                       ": repeat the command with --resume (resume=True) to go on");
  }
  return interrupted(done + "nothing was kept, for the run had no log (--log DIR)");
}

}  // namespace

Result<train::MemoryPlan> explain_memory(const TrainingRequest& request) {
  const ThreadLimit threads(request.threads);
  return threads.execute([&]() -> Result<train::MemoryPlan> {
    EVERGROVE_RETURN_IF_ERROR(check_model_place(request));
    EVERGROVE_RETURN_IF_ERROR(check_fingerprints(request.data));
    std::optional<train::RunDescription> description;
    EVERGROVE_ASSIGN_OR_RETURN(
        const train::MemoryPlan plan,
        plan_run(request, request.parameters, nullptr, nullptr, description));
    return plan;
  });
}

Result<TrainingReport> train(const TrainingRequest& request) {
  const ThreadLimit threads(request.threads);
  return threads.execute([&]() -> Result<TrainingReport> { return Run(request).run(); });
}

}  // namespace evergrove::runtime
