# One image for web, worker and beat. The embedded servers are not in it: set TODOKE_DATABASE__… and TODOKE_REDIS__URL.
FROM node:22-slim AS front-end
WORKDIR /todoke
COPY package.json package-lock.json .npmrc ./
RUN npm ci --omit=dev

FROM python:3.11-slim
WORKDIR /todoke
COPY requirements.txt requirements-setup.txt ./
RUN pip install --no-cache-dir --require-hashes -r requirements-setup.txt \
 && uv pip install --system --no-cache --require-hashes --compile-bytecode -r requirements.txt
COPY app app
COPY workers workers
COPY templates templates
COPY registry_data registry_data
COPY --from=front-end /todoke/node_modules node_modules
RUN python -m app.web.assets && rm -r node_modules && useradd --system todoke
ENV PYTHONPATH=/todoke PYTHONUNBUFFERED=1
USER todoke
CMD ["uvicorn", "app.main:create_app", "--factory", "--host", "0.0.0.0", "--port", "8000", "--no-access-log"]
