"""Prints results as the tables and sentences of docs/benchmarks.md."""
import sys

COLUMNS = {  # field of a result: heading, format
    "rate": ("per s", "{:,.0f}"), "p50_us": ("p50 us", "{:,.0f}"), "p99_us": ("p99 us", "{:,.0f}"),
    "p999_us": ("p99.9 us", "{:,.0f}"), "max_us": ("max us", "{:,.0f}"),
    "server_cores": ("server cores", "{:.2f}"), "client_cores": ("client cores", "{:.2f}"),
    "other_cores": ("other cores", "{:.2f}"), "of_32": ("of depth 32", "{:.2f}"),
    "of_64": ("of depth 64", "{:.2f}"), "blocks_per_request": ("blocks/GET", "{:.3f}"),
    "disk_reads_per_s": ("disk reads/s", "{:,.0f}"), "mb_read_per_s": ("server MB/s", "{:,.0f}"),
    "seconds": ("seconds", "{:.1f}"),
}
LATENCIES = ["p50_us", "p99_us", "p999_us"]
CORES = ["server_cores", "client_cores", "other_cores"]


def print_cells(title, headings, lines):
    print(f"\n{title}\n")
    print("| " + " | ".join(headings) + " |")
    print("|---|" + "--:|" * (len(headings) - 1))
    for cells in lines:
        print("| " + " | ".join(str(cell) for cell in cells) + " |")
    sys.stdout.flush()


def print_results(title, fields, results):
    """`results`: name -> result; what one does not have stays empty."""
    print_cells(title, ["what"] + [COLUMNS[field][0] for field in fields],
                [[name] + [COLUMNS[field][1].format(one[field]) if field in one else ""
                           for field in fields] for name, one in results.items()])


def say(*sentences):
    print("\n" + " ".join(sentences), flush=True)
