# Every target explains itself in `make help`. Caches, the virtual environment among them, live in
# $(CACHE); outside of it and of this folder only Go and pip fill caches of their own.
CACHE ?= $(or $(HYPERBAND_CACHE),$(or $(XDG_CACHE_HOME),$(HOME)/.cache)/hyperband-operator)
PYTHON ?= python3
# One environment for each set of dependencies and interpreter; it holds no code of ours.
VENV := $(CACHE)/venv/$(shell ($(PYTHON) hack/requirements.py; cat constraints.txt; $(PYTHON) -VV) | sha256sum | cut -c1-16)
PY := $(VENV)/bin/python
PYTEST := $(PY) -m pytest -o cache_dir=$(CACHE)/pytest

export HYPERBAND_CACHE := $(CACHE)
export KUBECACHEDIR := $(CACHE)/kubectl
export PYTHONPATH := $(CURDIR)/operator:$(CURDIR)
export PYTHONPYCACHEPREFIX := $(CACHE)/pycache
export MYPY_CACHE_DIR := $(CACHE)/mypy
export RUFF_CACHE_DIR := $(CACHE)/ruff
export HYPOTHESIS_STORAGE_DIRECTORY := $(CACHE)/hypothesis
# A recipe that begins so ends where no cluster answers.
ON_THE_CLUSTER := kubeconfig=$$($(PY) -m hack.cluster kubeconfig) && KUBECONFIG=$$kubeconfig
# The operator and its tests never want more than one BLAS thread.
export OPENBLAS_NUM_THREADS := 1

# `make run` and `make watch` go to the demo's cluster where there is no kubeconfig but its own.
run watch: export KUBECONFIG := $(or $(KUBECONFIG),$(firstword $(wildcard \
  $(HOME)/.kube/config $(CACHE)/cluster/kubeconfig)))

.DEFAULT_GOAL := help
.PHONY: help env up run watch simulate load image release figures page screenshots demo ready test \
  tests-on-the-cluster tests-beside-it test-unit test-cluster \
  test-chart test-methods test-integrations fuzz chaos verify generate docs bench bench-search bench-latency \
  bench-recovery bench-state bench-growth bench-autoscaling bench-scale down clean

help: ## Show this text
	@echo "HyperbandStudy on Kubernetes. Targets:"
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  \1\t\2/p' $(MAKEFILE_LIST) | expand -t 18
	@echo "KUBECONFIG=FILE IMAGE=REGISTRY/NAME:TAG make demo   uses that cluster instead of making one;"
	@echo "                  the trial image is pushed there. A kind cluster needs no IMAGE."
	@echo "KUBERNETES=1.33 make demo   makes a kind cluster of that version instead of 1.34."

env: $(VENV)/complete ## Make the virtual environment (in the cache)
$(VENV)/complete:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Python 3.11 or later is needed; name one with PYTHON=…" >&2; exit 2; }
	@echo "… making the virtual environment, about 1 min the first time" >&2
	@$(PYTHON) -m venv --clear $(VENV)
	@$(PYTHON) hack/requirements.py | $(PY) -m pip install --quiet --disable-pip-version-check \
	  -c constraints.txt -r /dev/stdin
	@touch $@

up: env ## Start the kind cluster, or reuse it; prints its kubeconfig's path last
	@$(PY) -m hack.cluster up

run: env ## Run the operator here, in the foreground: for all namespaces, or NAMESPACE=my-team
	@$(PY) -m hyperband.cli operator $(if $(NAMESPACE),-n $(NAMESPACE))

watch: env ## Follow a study: make watch STUDY=digits NAMESPACE=default
	@test -n "$(STUDY)" || { echo "name the study: make watch STUDY=digits NAMESPACE=default" >&2; exit 2; }
	@$(PY) -m hyperband.cli watch $(STUDY) $(if $(NAMESPACE),-n $(NAMESPACE))

simulate: env ## Try a study on simulated workers: make simulate STUDY=FILE ARGS='--seeds 0-9'
	@test -n "$(STUDY)" || { echo "name the file: make simulate STUDY=study.yaml ARGS='--seeds 0-9'" >&2; exit 2; }
	@$(PY) -m hyperband.cli simulate "$(STUDY)" $(ARGS)

load: env ## Load an image of your own into the kind cluster's nodes: make load IMAGE=trainer:1
	@test -n "$(IMAGE)" || { echo "name the image: make load IMAGE=trainer:1" >&2; exit 2; }
	@$(PY) -m hack.cluster load $(IMAGE)

image: env page ## Build the operator's image: make image IMAGE=you/operator:1 ENGINE=podman BASE=… TARGET=sidecar
	@$(PY) -m hack.image $(if $(ENGINE),--engine $(ENGINE)) $(if $(BASE),--base $(BASE)) \
	  $(if $(IMAGE),--image $(IMAGE)) $(if $(TARGET),--target $(TARGET))

release: env $(VENV)/release ## Build what a release publishes into dist/: wheel, images, chart, manifests, SBOM
	@$(PY) -m hack.release dist $(ARGS)

figures: env ## Show image sizes, what the operator in the cluster uses, and rights granted and used
	@$(PY) -m hack.footprint
	@$(PY) -m hack.permissions

demo: env ## Set everything up, tune the digits sample and show the best configuration
	@$(PY) -m hack.demo

# What tests run beside the cluster, and in it: no test's time limit would do for its compilation.
TOOLS = etcd kube-apiserver kube-scheduler kube-controller-manager kwok karpenter promtool prometheus \
  helm kubeconform

page: env ## Bundle the dashboard's page (npm; once for each set of its sources)
	@$(PY) -m hack.page

screenshots: env ## Take the documentation's pictures of the page again, by Chromium: docs/pictures
	@$(PY) -m tests.browser.pictures $(ARGS)

ready: env page
	@$(PY) -m hack.cluster up
	@$(PY) -m hack.cluster tools $(TOOLS) > /dev/null
	@$(PY) -m hack.cluster ship > /dev/null
	@$(PY) -m hack.browser > /dev/null

test: env verify ready ## Set everything up and run all tests
	@$(MAKE) -s -k -j 2 --no-print-directory tests-on-the-cluster tests-beside-it

# Those of the cluster wait for it most of the time. What the others say comes when they have ended.
tests-on-the-cluster:
	@$(ON_THE_CLUSTER) $(PYTEST) --durations=20 -m cluster

tests-beside-it:
	@mkdir -p $(CACHE)/logs; $(PYTEST) --durations=20 -m "not cluster" > $(CACHE)/logs/tests.log 2>&1; code=$$?; \
	  cat $(CACHE)/logs/tests.log; exit $$code

test-unit: env ## Run the tests that need no cluster
	@$(PYTEST) -m "not cluster"

test-cluster: ready ## Run the tests on the kind cluster
	@$(ON_THE_CLUSTER) $(PYTEST) -m cluster

test-chart: ready ## Check the chart, install, upgrade, roll back and uninstall it, and run studies under it
	@$(ON_THE_CLUSTER) $(PYTEST) tests/chart tests/cluster/test_chart_*.py

test-methods: env ## Run every scheduler with every searcher: on the kind cluster, and simulated with faults
	@$(PY) -m hack.cluster up
	@$(PY) -m tests.simulator.pairs
	@$(ON_THE_CLUSTER) ALL_METHODS=1 $(PYTEST) tests/cluster/test_methods.py

test-integrations: $(VENV)-integrations/complete ## Train with Lightning, Transformers and Keras, export to MLflow and Parquet (6 GB once)
	@INTEGRATIONS=1 KERAS_BACKEND=torch $(VENV)-integrations/bin/python -m pytest \
	  -o cache_dir=$(CACHE)/pytest tests/integrations

# Of its own: what `make verify` and the other tests see stays small, and the same everywhere.
$(VENV)-integrations/complete: pyproject.toml constraints.txt
	@echo "… making the environment of the integrations, 6 GB and some minutes the first time" >&2
	@$(PYTHON) -m venv $(@D)
	@$(PYTHON) hack/requirements.py run dev integrations mlflow parquet | $(@D)/bin/python -m pip install --quiet \
	  --disable-pip-version-check -c constraints.txt -r /dev/stdin
	@touch $@

fuzz: env ## Feed bad input to what reads it: RUNS=1000000 of each target, or TARGET=metrics INPUT=FILE
	@$(MAKE) -s --no-print-directory $(VENV)/fuzz || echo "… without atheris, which has no wheel for this platform" >&2
	@$(PY) -m tests.fuzz --runs $(or $(RUNS),100000) $(if $(TARGET),--target $(TARGET)) \
	  $(if $(ENGINE),--engine $(ENGINE)) $(if $(INPUT),--input $(INPUT))

$(VENV)/fuzz: $(VENV)/complete
	@$(PYTHON) hack/requirements.py fuzz | $(PY) -m pip install --quiet --only-binary atheris \
	  --disable-pip-version-check -c constraints.txt -r /dev/stdin
	@touch $@

chaos: env ## Kill the operator and fault its calls: every write, and at random: SEEDS=500 REAL=50, or SEED=7 alone
	@$(if $(CHAOS_CLUSTER),$(PY) -m hack.cluster up)
	@$(if $(CHAOS_CLUSTER),$(ON_THE_CLUSTER)) PYTHONHASHSEED=0 \
	  $(PY) -m tests.chaos --seeds $(or $(SEEDS),500) --real $(or $(REAL),50) \
	  $(if $(SEED),--seed $(SEED)) $(if $(REAL_SEED),--real-seed $(REAL_SEED)) $(if $(POINT),--point $(POINT))

# What runs in memory alone needs no cluster.
chaos: CHAOS_CLUSTER = $(if $(SEED)$(POINT),,$(if $(filter 0,$(REAL)),$(REAL_SEED),yes))

verify: env ## Check generated files, lint, types, import arrows, and that all tests can be collected
	@$(PY) -m hack.generate --check
	@$(PY) -m ruff check --quiet .
	@$(PY) -m ruff format --check --quiet .
	@$(PY) -m mypy
	@$(PY) -m mypy hack
	@$(PY) -m mypy benchmarks
	@$(VENV)/bin/lint-imports --no-cache
	@$(PYTEST) --collect-only -qq > $(VENV)/collected || { cat $(VENV)/collected; exit 1; }

docs: env ## Build the site of the documentation (in the cache); a broken link is an error
	@$(PY) -m hack.docs $(CACHE)/site

generate: env ## Write the generated files again: CRDs, chart, manifests, golden files of the tests
	@$(PY) -m hack.generate
	@UPDATE_GOLDEN=1 $(PYTEST) -q tests/kubernetes/test_render.py tests/chart
	@$(PY) -m ruff format --quiet .

bench: env ## Measure decisions and the operator's answers (see benchmarks/README.md)
	@$(PY) -m benchmarks

bench-search: env $(VENV)/benchmarks ## Compare methods of search with Syne Tune's: QUICK=1, or all
	@$(PY) -m benchmarks.search_quality $(if $(QUICK),--quick) $(ARGS)

bench-latency: env $(VENV)/benchmarks ## Time suggestions, ours and Syne Tune's, as studies grow: QUICK=1, or all
	@$(PY) -m benchmarks.decision_latency $(if $(QUICK),--quick) $(ARGS)

bench-growth: env $(VENV)/benchmarks ## Measure how a decision's cost grows, to 100,000 trials (ARGS="--most 1000000")
	@$(PY) -m benchmarks.growth $(ARGS)

bench-recovery: env ## Time a study's recovery after kill -9 with 10 to 10,000 trials on the kind cluster
	@$(PY) -m benchmarks.recovery $(ARGS)

bench-state: env ## Measure what 20,000 trials take in etcd, and how soon they are read back
	@$(PY) -m benchmarks.state $(ARGS)

bench-autoscaling: env ## GPU-seconds paid for each used, with Karpenter: MODE=Promotion PARALLELISM=64 SEED=0, or all
	@$(PY) -m benchmarks.autoscaling $(if $(MODE),--modes $(MODE)) $(if $(SEED),--seeds $(SEED)) \
	  $(if $(PARALLELISM),--parallelism $(PARALLELISM)) $(ARGS)

# Extras of the same names.
$(VENV)/benchmarks $(VENV)/release: $(VENV)/complete
	@$(PYTHON) hack/requirements.py $(@F) | $(PY) -m pip install --quiet \
	  --disable-pip-version-check -c constraints.txt -r /dev/stdin
	@touch $@

bench-scale: env $(VENV)/benchmarks ## Measure many pods at once: PODS=10000 STUDIES=100 MODE=Promotion (ARGS=--help)
	@$(PY) -m benchmarks.scale $(if $(PODS),--pods $(PODS)) $(if $(STUDIES),--studies $(STUDIES)) \
	  $(if $(MODE),--mode $(MODE)) $(ARGS)

down: ## Take the cluster down; leaves nothing outside the cache
	@PYTHONDONTWRITEBYTECODE=1 $(PYTHON) -m hack.cluster down

clean: down ## Take everything down and delete the caches too
	rm -rf "$(CACHE)"
