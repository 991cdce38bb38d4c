#include "server/commit_group.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <boost/asio/post.hpp>
#include <utility>

#include "server/session.h"

namespace varve::server {
namespace {

// What a loop writes to the log itself: a few ms.
constexpr uint64_t kLoopWriteBytesMax = 8 << 20;

}  // namespace

void CommitGroup::Join(Session& session, engine::Lsn lsn) {
  // A write of hundreds of MB is left to the log's own thread, which syncs it along: this loop's
  // other connections do not wait for it. Those that write do, since the log has one order.
  const bool waits_for_disk = lsn != 0 && (engine_.sync_mode() == engine::SyncMode::kAlways ||
                                           lsn > engine_.log_written() + kLoopWriteBytesMax);
  Group& group = waits_for_disk ? syncing_ : gathering_;
  group.sessions.push_back(&session);
  group.lsn = std::max(group.lsn, lsn);
  PostCommit();
}

// Behind the connections that are ready now, so that they get into this group.
void CommitGroup::PostCommit() {
  if (std::exchange(posted_, true)) return;
  asio::post(context_, [this] {
    posted_ = false;
    if (!sync_under_way_ && !syncing_.sessions.empty()) CommitDurably();
    if (!gathering_.sessions.empty()) Commit();
  });
}

void CommitGroup::Commit() {
  // A session that is resumed may join the next group at once.
  std::swap(gathering_, committing_);
  engine::Result<void> outcome;
  if (committing_.lsn != 0) outcome = engine_.WriteLog(committing_.lsn);
  Resume(committing_, outcome);
  committing_.sessions.clear();
  committing_.lsn = 0;
}

// The loop goes on meanwhile. Who joins until the disk answers makes up the next group: a sync
// costs the same for one as for all, and asking for each pass's few at once would keep the disk,
// and the threads around it, busy with many small ones.
void CommitGroup::CommitDurably() {
  sync_under_way_ = true;
  std::swap(syncing_, durable_group_);
  engine_.WhenDurable(durable_group_.lsn, [this](engine::Result<void> outcome) {
    asio::post(context_, [this, outcome = std::move(outcome)] {
      if (outcome) durable_ = std::max(durable_, durable_group_.lsn);
      sync_under_way_ = false;
      std::swap(durable_group_, answered_);
      // First the disk gets its next work, then the peers their replies.
      if (!syncing_.sessions.empty()) CommitDurably();
      Resume(answered_, outcome);
      answered_.sessions.clear();
      answered_.lsn = 0;
    });
  });
}

void CommitGroup::Resume(const Group& group, const engine::Result<void>& outcome) {
  if (!outcome && !failed_) {
    failed_ = true;
    log_.error("Writes are refused from now on, the log can't be written: {}",
               outcome.error().context);
  }
  for (Session* session : group.sessions) session->OnCommitted(outcome);
}

}  // namespace varve::server
